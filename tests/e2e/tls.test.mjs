// A deployment over TLS, as Convex's cloud is: HTTP/2 where it is offered, HTTP/1.1 where not, and only for a certificate that the
// system trusts. The authority and the key in `tls/` are made for this test and trusted by nobody else.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createSecureServer } from "node:http2";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";

import { connect } from "./lib/clients.mjs";
import { assertRefused, call } from "./lib/http.mjs";
import { keyPair, serveEnvironment } from "./lib/keys.mjs";
import { startServe } from "./lib/proxy.mjs";
import { upgrade } from "./lib/raw.mjs";
import { SESSION_COOKIE } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const file = (name) => fileURLToPath(new URL(`./tls/${name}`, import.meta.url));
const identity = { key: readFileSync(file("localhost.key.pem")), cert: readFileSync(file("localhost.pem")) };

/** A deployment that answers every call with the protocol that it came by, and notes the authority that was asked for. */
async function deployment(server) {
  const seen = [];
  server.on("request", (request, response) => {
    seen.push(request.authority ?? request.headers.host);
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ status: "success", value: request.httpVersion, logLines: [] }));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  // The proxy keeps its connections; the process must not wait for them.
  server.unref();
  return { url: `https://localhost:${server.address().port}`, seen };
}

const modern = await deployment(createSecureServer({ ...identity, allowHTTP1: true }));
const plain = await deployment(createServer(identity));

async function inFrontOf({ url }, env, options) {
  const proxy = await startServe({ ...serveEnvironment(url, keyPair()), ...env }, options);
  after(() => proxy.stop());
  return proxy;
}

test("HTTP/2 is spoken with a deployment that offers it", async () => {
  const proxy = await inFrontOf(modern, { SSL_CERT_FILE: file("authority.pem") });
  const client = new ConvexHttpClient(proxy.publicUrl);
  const values = await Promise.all(Array.from({ length: 20 }, () => client.query(anyApi.demo.whoami, {})));
  assert.deepEqual(new Set(values), new Set(["2.0"]));
  assert.equal(await client.mutation(anyApi.demo.send, { body: "x".repeat(300_000) }), "2.0");
  assert.deepEqual(new Set(modern.seen), new Set([new URL(modern.url).host]), "it is asked by its own name");
});

test("HTTP/1.1 is spoken with a deployment that offers nothing else", async () => {
  const proxy = await inFrontOf(plain, { SSL_CERT_FILE: file("authority.pem") });
  const client = new ConvexHttpClient(proxy.publicUrl);
  assert.equal(await client.query(anyApi.demo.whoami, {}), "1.1");
});

for (const [what, server] of [
  ["HTTP/1.1 alone", createServer(identity)],
  ["HTTP/2 too", createSecureServer({ ...identity, allowHTTP1: true })],
]) {
  test(`the sync socket is opened to a deployment over TLS that offers ${what}`, async (t) => {
    const scripted = await scriptedDeployment({ server });
    after(() => scripted.close());
    scripted.sessions.set("ada-session", "users|ada");
    const { port } = new URL(scripted.url);
    const proxy = await inFrontOf({ url: `https://localhost:${port}` }, { SSL_CERT_FILE: file("authority.pem") });
    const client = connect(t, proxy.publicUrl, { headers: { cookie: `${SESSION_COOKIE}=ada-session` } });
    assert.equal((await client.query("demo:whoami")).subject, "users|ada");
    assert.equal((await client.query("demo:repeat", { text: "0123456789", times: 100_000 })).length, 1_000_000);
    assert.equal(scripted.sockets[0].headers.host, `localhost:${port}`);
  });
}

test("a certificate that the system does not trust is an error", async () => {
  const proxy = await inFrontOf(modern, { SSL_CERT_FILE: file("localhost.pem") }, { isReady: false });
  const before = modern.seen.length;
  assertRefused(await call(proxy.publicUrl, "query", "demo:whoami"), 502, "UpstreamUnreachable");
  assertRefused(await upgrade(proxy.publicUrl), 502, "UpstreamUnreachable");
  assert.equal(modern.seen.length, before);
});
