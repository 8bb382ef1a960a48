// What the wire itself must hold: bytes that cross, clients that are slow or leave, writes that go round the proxy.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { after, test } from "node:test";

import { assertRefused, call, exchange, send, valueOf } from "./lib/http.mjs";
import { keyPair, serveEnvironment } from "./lib/keys.mjs";
import { startDev, startServe, waitFor } from "./lib/proxy.mjs";
import { recordingUpstream, stallingUpstream } from "./lib/upstream.mjs";
import { signedIn, tokenByCookie } from "./lib/seed.mjs";

const pair = keyPair();
const JSON_TYPE = { "content-type": "application/json" };
const upstream = await recordingUpstream();
const proxy = await startServe(serveEnvironment(upstream.url, pair));
after(async () => {
  await proxy.stop();
  upstream.close();
});

/** The arguments that the deployment saw last, as text. */
function argumentsSeen() {
  const { body } = upstream.requests.at(-1);
  return body;
}

test("arguments cross byte for byte", async () => {
  const inside = String.raw`{"a":1.0,"b":-0,"c":9007199254740993,"d":1e-320,"e":"\u0061\/\ud83d\ude00","f":[ 1 ,2.50 ],"g":{"$integer":"AAAAAAAAAAA="},"2026":"2026-01-01T00:00:00Z","h":null,"i":1.7e12,"":""}`;
  for (const args of [inside, `[${inside}]`, `[ ${inside} ]`]) {
    const body = `{"path":"demo:any","args":${args},"format":"convex_encoded_json"}`;
    assert.equal((await send(`${proxy.publicUrl}/api/query`, { body, headers: JSON_TYPE })).status, 200);
    assert.ok(argumentsSeen().includes(inside), argumentsSeen());
  }
});

test("of an adapter function's arguments only dates and nulls change", async () => {
  const args = String.raw`{"user":{"id":"\u0061b","email":"x\/y","emailVerified":"2026-01-01T00:00:00.000Z","name":null,"image":"2026-01-01"}}`;
  const body = `{"path":"authAdapter:updateUser","args":[${args}]}`;
  assert.equal((await send(`${proxy.adapterUrl}/api/mutation`, { body, headers: JSON_TYPE })).status, 200);
  assert.ok(argumentsSeen().includes(String.raw`{"id":"\u0061b","email":"x\/y","emailVerified":1767225600000`), argumentsSeen());
  assert.ok(argumentsSeen().includes('"image":"2026-01-01"') && !argumentsSeen().includes("name"), argumentsSeen());
  for (const number of ["1.7e12", "1700000000000.0", "-0", "1E3"]) {
    const session = `{"path":"authAdapter:updateSession","args":{"session":{"sessionToken":"x","expires":${number}}}}`;
    assert.equal((await send(`${proxy.adapterUrl}/api/mutation`, { body: session, headers: JSON_TYPE })).status, 200);
    assert.ok(argumentsSeen().includes(`"expires":${number}}`), argumentsSeen());
  }
});

test("adapter.nulls = keep sends nulls as they are", async () => {
  const keeping = await startServe({ ...serveEnvironment(upstream.url, pair), CONVEX_AUTH_PROXY__ADAPTER__NULLS: "keep" });
  await call(keeping.adapterUrl, "mutation", "authAdapter:updateUser", { user: { id: "x", name: null } });
  assert.deepEqual(JSON.parse(argumentsSeen()).args[0].user, { id: "x", name: null });
  await keeping.stop();
});

test("a body of many megabytes crosses whole", async () => {
  const text = "é".repeat(5 * 1024 * 1024);
  assert.equal((await call(proxy.publicUrl, "mutation", "demo:any", { text })).status, 200);
  assert.equal(JSON.parse(argumentsSeen()).args[0].text, text);
});

const CALL = '{"path":"demo:any","args":{}}';
const callHead = (...lines) => ["POST /api/query HTTP/1.1", "Host: localhost", "Content-Type: application/json", ...lines, "", ""].join("\r\n");

test("what is no HTTP, or has two ends, is told so with 400 and goes nowhere", async () => {
  const { length } = upstream.requests;
  for (const text of [
    "nonsense\r\n\r\n",
    "GET / HTTP/9.1\r\n\r\n",
    `POST /api/query HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n`,
    callHead("Content-Length: x"),
    callHead("Content-Length: 5", `Content-Length: ${CALL.length}`) + CALL,
    callHead("Transfer-Encoding: gzip") + CALL,
    `${callHead("Transfer-Encoding: chunked")}ZZ\r\nabc\r\n0\r\n\r\n`,
  ]) {
    const received = await exchange(proxy.ports.public, text, (received) => received.includes("\r\n\r\n"));
    assert.match(received, /^HTTP\/1\.1 400 /, JSON.stringify(text));
  }
  assert.equal(upstream.requests.length, length);
});

test("an answer does not wait for a next request that has only begun", async () => {
  for (const next of ["GET", "POST /api/query HTTP/1.1\r\nHost: loc", "nonsense\r\n\r\n"]) {
    const whole = callHead(`Content-Length: ${CALL.length}`) + CALL;
    const isAnswered = (received) => received.includes('"status":"success"');
    const received = await exchange(proxy.ports.public, whole + next, isAnswered, 2_000);
    assert.ok(isAnswered(received), `before ${JSON.stringify(next)}: ${JSON.stringify(received)}`);
  }
});

test("requests in one go are answered in their order", async () => {
  const { length } = upstream.requests;
  const whole = (path) => {
    const body = CALL.replace("demo:any", path);
    return callHead(`Content-Length: ${body.length}`) + body;
  };
  const text = `${whole("demo:first")}GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n${whole("demo:second")}`;
  const received = await exchange(proxy.ports.public, text, (received) => received.split("HTTP/1.1 ").length === 4 && received.endsWith("}"));
  assert.deepEqual(received.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"]);
  assert.deepEqual(upstream.requests.slice(length).map(({ body }) => JSON.parse(body).path), ["demo:first", "demo:second"]);
});

test("a message with a length and chunks is refused, or ends its connection", async () => {
  const { length } = upstream.requests;
  const chunked = `${CALL.length.toString(16)}\r\n${CALL}\r\n0\r\n\r\n`;
  const hidden = callHead(`Content-Length: ${CALL.length + 3}`) + CALL.replace("demo:any", "demo:hidden");
  // RFC 9112 section 6.3: whatever follows may have been smuggled past whoever is in front.
  await exchange(proxy.ports.public, callHead("Content-Length: 5", "Transfer-Encoding: chunked") + chunked + hidden, (received) => received.split('"success"').length > 2, 1_000);
  assert.ok(!upstream.requests.slice(length).some(({ body }) => body.includes("demo:hidden")), "what followed was served");
});

test("a body sent in chunks is read like any other", async () => {
  const outgoing = request(`${proxy.publicUrl}/api/query`, { method: "POST", headers: JSON_TYPE, agent: false });
  outgoing.write('{"path":"demo:');
  outgoing.end('any","args":{}}');
  const [incoming] = await once(outgoing, "response");
  incoming.resume();
  assert.equal(incoming.statusCode, 200);
});

test("a client that does not finish its head or its body is told so, and let go", async () => {
  const strict = await startServe({
    ...serveEnvironment(upstream.url, pair),
    CONVEX_AUTH_PROXY__TIMEOUTS__HEADER: "300ms",
    CONVEX_AUTH_PROXY__TIMEOUTS__BODY: "300ms",
  });
  const { length } = upstream.requests;
  const receivedAfter = (text) => exchange(strict.ports.public, text);
  const body = await receivedAfter('POST /api/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"path"');
  assert.match(body, /^HTTP\/1\.1 408 /);
  assert.match(body, /"code":"RequestTimeout"/);
  const head = await receivedAfter("POST /api/query HTTP/1.1\r\nHost: loc");
  assert.match(head, /^HTTP\/1\.1 408 |^$/, "408, or closed without a word");
  assert.equal(upstream.requests.length, length);
  await strict.stop();
});

test("a client that leaves ends its query at the deployment, and never its mutation", async () => {
  const stalling = await stallingUpstream();
  const waiting = await startServe(serveEnvironment(stalling.url, pair), { isReady: false });
  const leave = async (lane) => {
    const target = `/api/${lane}`;
    const outgoing = request(`${waiting.publicUrl}${target}`, { method: "POST", headers: JSON_TYPE, agent: false });
    outgoing.on("error", () => {});
    outgoing.end('{"path":"demo:any","args":{}}');
    await waitFor(`${lane} is at the deployment`, () => stalling.requests.some((seen) => seen.target === target));
    outgoing.destroy();
  };
  await leave("mutation");
  await leave("action");
  await leave("query");
  await waitFor("the query is given up", () => stalling.abandoned.includes("/api/query"));
  assert.deepEqual(stalling.abandoned.filter((target) => target !== "/version"), ["/api/query"]);
  stalling.release();
  await waiting.stop();
  assert.ok(!stalling.abandoned.includes("/api/mutation") && !stalling.abandoned.includes("/api/action"));
  stalling.close();
});

test("a write that goes round the proxy shows within cache.ttl", async () => {
  const dev = await startDev({ CONVEX_AUTH_PROXY__CACHE__TTL: "300ms" });
  const { cookie, sessionToken, userId } = await signedIn(dev);
  const subject = async () => (await valueOf(dev.publicUrl, "query", "demo:whoami", {}, { cookie }))?.subject ?? null;
  assert.equal(await subject(), userId);
  const { json } = await tokenByCookie(dev, cookie);
  await valueOf(dev.deploymentUrl, "mutation", "authAdapter:deleteSession", { sessionToken, secret: dev.secret });
  await waitFor("the session has ended for the cookie", async () => (await subject()) === null, 2_000);
  assertRefused(await call(dev.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${json.token}` }), 401, "SessionEnded");
  await dev.stop();
});

test("a session is served up to its end, and not after it", async () => {
  const dev = await startDev({ CONVEX_AUTH_PROXY__CACHE__TTL: "1h" });
  const { cookie, userId } = await signedIn(dev, { livesMs: 1_500 });
  const subject = async () => (await valueOf(dev.publicUrl, "query", "demo:whoami", {}, { cookie }))?.subject ?? null;
  assert.equal(await subject(), userId);
  await waitFor("the session is over", async () => (await subject()) === null, 4_000);
  await dev.stop();
});

test("connections beyond the limit are turned away with 503", async () => {
  const small = await startServe({ ...serveEnvironment(upstream.url, pair), CONVEX_AUTH_PROXY__LIMITS__CONNECTIONS: "2" });
  const held = [1, 2].map(() => connect(small.ports.public, "127.0.0.1"));
  // Each has been answered once, so it has its place for certain, and keeps it.
  held.forEach((socket) => socket.write("GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  await Promise.all(held.map((socket) => once(socket, "data")));
  const refused = await waitFor("a third is turned away", async () => {
    const answered = await call(small.publicUrl, "query", "demo:any").catch(() => null);
    return answered?.status === 503 ? answered : null;
  });
  assert.ok(refused.json.code);
  held.forEach((socket) => socket.destroy());
  await waitFor("there is a place again", async () => (await call(small.publicUrl, "query", "demo:any").catch(() => null))?.status === 200);
  await small.stop();
});
