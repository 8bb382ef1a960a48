// The sync socket as an operator meets it: under a path, at the end of the process, in the log and in the metrics.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { CLIENTS, connect } from "./lib/clients.mjs";
import { assertRefused, valueOf } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { startDev, startServe, waitFor } from "./lib/proxy.mjs";
import { openRaw, upgrade } from "./lib/raw.mjs";
import { APP_ORIGIN, SESSION_COOKIE, pageTokens, signedIn, tokenFor } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const SOCKETS_OPENED = 'convex_auth_proxy_sync_sockets_opened_total{identity="cookie"}';

describe("under a path of the app's own host", async () => {
  const proxy = await startDev({ CONVEX_AUTH_PROXY__LISTEN__BASE_PATH: "/convex" });
  after(() => proxy.stop());

  for (const name of CLIENTS) {
    test(`${name} keeps the path and is who its cookie or its token says`, async (t) => {
      const { cookie, userId } = await signedIn(proxy);
      const byCookie = connect(t, proxy.publicUrl, { name, headers: { cookie, origin: APP_ORIGIN } });
      assert.equal((await byCookie.query("demo:whoami")).subject, userId);
      const byToken = connect(t, proxy.publicUrl, { name });
      byToken.setAuth(pageTokens(proxy, cookie));
      await byToken.watch("demo:whoami").until((identity) => identity?.subject === userId);
      await assert.rejects(byCookie.query("authAdapter:getUser", { id: userId }), /adapter/i);
    });
  }

  test("without the path there is no socket", async () => {
    const root = `http://localhost:${proxy.ports.public}`;
    for (const url of [root, `${root}/Convex`, `${root}/convex/convex`, `${root}/convex/`]) {
      assertRefused(await upgrade(url), 404, "NotFound");
    }
  });
});

test("versions that Convex does not serve, and what only looks like the route, get no socket", async (t) => {
  const proxy = await startDev();
  t.after(() => proxy.stop());
  for (const version of ["not-a-version", "1.48", "..", "1.48.0/more"]) {
    const { status } = await upgrade(proxy.publicUrl, { version });
    assert.ok([400, 404].includes(status), `${version}: ${status}`);
  }
  for (const method of ["POST", "HEAD", "PUT"]) {
    const { status } = await upgrade(proxy.publicUrl, { method });
    assert.ok([404, 405, 426].includes(status), `${method}: ${status}`);
  }
});

test("an open socket takes no place of a request, and HTTP's timeouts are not its own", async (t) => {
  const short = Object.fromEntries(
    ["HEADER", "BODY", "IDLE", "UPSTREAM", "STALL", "UPSTREAM_IDLE"].map((name) => [`CONVEX_AUTH_PROXY__TIMEOUTS__${name}`, "500ms"]),
  );
  const proxy = await startDev({ ...short, CONVEX_AUTH_PROXY__LIMITS__REQUESTS_IN_FLIGHT: "2" });
  t.after(() => proxy.stop());
  const sockets = [];
  for (let index = 0; index < 5; index += 1) sockets.push(await openRaw(t, proxy.publicUrl));
  const opened = performance.now();
  assert.equal(await valueOf(proxy.publicUrl, "query", "demo:whoami"), null);
  // A client that waits for its first token says nothing at all.
  await waitFor("all of those times are over", () => performance.now() - opened > 2_000);
  for (const raw of sockets) {
    assert.equal(raw.socket.end, undefined);
    raw.connect();
    assert.equal((await raw.result(raw.add("demo:whoami"))).value, null);
    raw.socket.terminate();
  }
});

describe("SIGTERM", { concurrency: true }, () => {
  test("closes every socket so that its client comes back, spread over a part of the time that it has", async (t) => {
    const proxy = await startDev({ CONVEX_AUTH_PROXY__TIMEOUTS__SHUTDOWN: "4s" });
    const { cookie, sessionToken } = await signedIn(proxy);
    const sockets = [await openRaw(t, proxy.adapterUrl)];
    for (let index = 0; index < 10; index += 1)
      sockets.push(await openRaw(t, proxy.publicUrl, { headers: { cookie, origin: APP_ORIGIN } }));
    for (const raw of sockets.slice(0, -1)) {
      raw.connect();
      await raw.result(raw.add("demo:list"));
    }
    sockets[1].authenticate((await tokenFor(proxy, { sessionToken })).json.token);
    await sockets[1].transition(({ endVersion }) => endVersion.identity === 1);
    const started = performance.now();
    proxy.child.process.kill("SIGTERM");
    for (const raw of sockets) {
      const { code } = await raw.closed();
      assert.ok([1001, 1012].includes(code), `${code}`);
    }
    await waitFor("it ends", () => proxy.child.process.exitCode !== null);
    assert.equal(proxy.child.process.exitCode, 0, proxy.stderr);
    assert.ok(performance.now() - started < 4_000, "open sockets are not waited for");
  });

  test("waits only briefly for a client that does not answer its close", async (t) => {
    const proxy = await startDev({ CONVEX_AUTH_PROXY__TIMEOUTS__SHUTDOWN: "10s" });
    const raw = await openRaw(t, proxy.publicUrl);
    raw.socket.pause();
    const started = performance.now();
    await proxy.stop();
    assert.ok(performance.now() - started < 10_000);
  });
});

test("nothing that is secret is logged at debug, and a socket is", async (t) => {
  const canary = "canary-4d1e7c";
  const deployment = await scriptedDeployment();
  const proxy = await startServe(
    {
      ...serveEnvironment(deployment.url),
      CONVEX_AUTH_ADAPTER_SECRET: `${canary}-secret`,
      CONVEX_AUTH_PROXY__SESSION__ORIGINS: APP_ORIGIN,
      CONVEX_AUTH_PROXY__LOG__LEVEL: "debug",
    },
    { isReady: false },
  );
  deployment.sessions.set(`${canary}-session`, "users|ada");
  const before = await proxy.metrics();
  const { token } = (await tokenFor(proxy, { sessionToken: `${canary}-session` })).json;
  const client = connect(t, proxy.publicUrl, { headers: { cookie: `${SESSION_COOKIE}=${canary}-session`, origin: APP_ORIGIN } });
  assert.equal((await client.query("demo:whoami")).subject, "users|ada");
  client.setAuth(async () => token);
  await waitFor("the token is confirmed", () => client.socket.version.identity > 0);
  await client.query("authAdapter:getSessionAndUser", { sessionToken: `${canary}-session`, secret: `${canary}-secret` });
  await client.query("authAdapter:getSessionAndUser", { sessionToken: `${canary}-session`, secret: `${canary}-wrong` }).catch(() => {});
  await client.mutation("demo:send", { body: `${canary}-body` });
  const wrong = await openRaw(t, proxy.publicUrl);
  wrong.send({ type: "Nonsense", value: `${canary}-nonsense` });
  await wrong.closed();
  const sessionId = client.socket.sentOf("Connect")[0].sessionId;
  await client.mutation("authAdapter:deleteSession", { sessionToken: `${canary}-session`, secret: `${canary}-secret` });
  await waitFor("a token's socket is closed", () => client.sockets[0].end);
  const after = await proxy.metrics();
  await client.close();
  await proxy.stop();
  deployment.close();
  const log = proxy.stdout + proxy.stderr;
  assert.ok(log.includes("sync"), "the log speaks of sockets");
  for (const secret of [canary, token, token.split(".")[2], token.split(".")[1].slice(0, 40), sessionId]) {
    assert.ok(!log.includes(secret), `${secret} is in the log:\n${log.split("\n").find((line) => line.includes(secret))}`);
  }
  assert.ok(after(SOCKETS_OPENED) > before(SOCKETS_OPENED));
});
