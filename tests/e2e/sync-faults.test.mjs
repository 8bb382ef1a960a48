// A deployment that closes, refuses, stalls or is not there: what the client is told, and what the others do not notice.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { connect } from "./lib/clients.mjs";
import { keyPair, serveEnvironment } from "./lib/keys.mjs";
import { freePorts, startDev, startServe, waitFor } from "./lib/proxy.mjs";
import { openRaw, upgrade } from "./lib/raw.mjs";
import { APP_ORIGIN, SESSION_COOKIE, pageTokens, signedIn } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const MEBIBYTE = 1024 * 1024;
/** More than the buffers of the system and the proxy's own hold together. */
const FLOOD = 96;

const deployment = await scriptedDeployment();
const inFront = (url, env) =>
  startServe({ ...serveEnvironment(url), CONVEX_AUTH_PROXY__SESSION__ORIGINS: APP_ORIGIN, ...env }, { isReady: false });
const proxy = await inFront(deployment.url);
after(async () => {
  await proxy.stop();
  deployment.close();
});
deployment.sessions.set("ada-session", "users|ada");
const headers = { cookie: `${SESSION_COOKIE}=ada-session`, origin: APP_ORIGIN };

async function relayed(t, options) {
  const before = deployment.sockets.length;
  const raw = await openRaw(t, proxy.publicUrl, options);
  await waitFor("the deployment has a socket for it", () => deployment.sockets.length > before);
  return { raw, upstream: deployment.sockets.at(-1) };
}

const REFUSED_TOKENS = 'convex_auth_proxy_sync_identities_total{event="refused"}';

/** A megabyte that says which it is. */
const flood = (requestId) => ({ type: "ActionResponse", requestId, success: true, result: "x".repeat(MEBIBYTE), logLines: [] });

test("the deployment's close codes and reasons are the client's", async (t) => {
  for (const [code, reason] of [
    [1000, ""],
    [1001, "going away"],
    [1011, "InternalServerError"],
    [1013, "TooManyConcurrentRequests"],
    [4040, "deployment not found"],
  ]) {
    const { raw, upstream } = await relayed(t);
    upstream.close(code, reason);
    assert.deepEqual(await raw.closed(), { code, reason });
  }
  const { raw, upstream } = await relayed(t);
  upstream.close();
  assert.deepEqual(await raw.closed(), { code: 1005, reason: "" }, "none is none");
});

test("a deployment that is cut off is no end that the client would take for meant", async (t) => {
  const { raw, upstream } = await relayed(t);
  upstream.webSocket.terminate();
  const { code } = await raw.closed();
  assert.ok([1001, 1006, 1011, 1012, 1013].includes(code), `${code}`);
});

test("a client's close code is the deployment's", async (t) => {
  for (const [code, reason] of [
    [1000, "done"],
    [4000, "a reason of its own"],
  ]) {
    const { raw, upstream } = await relayed(t);
    raw.socket.close(code, reason);
    assert.equal((await raw.closed()).code, code);
    await waitFor("the deployment's socket is closed", () => upstream.end);
  }
});

test("the last words before a close arrive", async (t) => {
  const { raw, upstream } = await relayed(t);
  upstream.send({ type: "AuthError", error: "Convex token identity expired", baseVersion: 0, authUpdateAttempted: false });
  upstream.close();
  await raw.closed();
  assert.deepEqual(raw.socket.of("AuthError"), [
    { type: "AuthError", error: "Convex token identity expired", baseVersion: 0, authUpdateAttempted: false },
  ]);
});

test("a client comes back to a deployment that restarted it, with a cookie's user again", async (t) => {
  const client = connect(t, proxy.publicUrl, { headers });
  const whoami = client.watch("demo:whoami");
  assert.equal((await whoami.settled()).subject, "users|ada");
  deployment.sockets.at(-1).close(1011, "InternalServerError");
  await waitFor("there is another socket", () => client.sockets.length === 2);
  assert.equal((await client.query("demo:list")).length >= 0, true);
  assert.equal(whoami.value.subject, "users|ada");
});

test("a message that is none of the deployment's ends its socket alone, and is not shown", async (t) => {
  const { raw: other } = await relayed(t);
  for (const nonsense of [
    Buffer.from("{}"),
    '{"type":"Transition"}',
    '{"type":"TransitionChunk"}',
    '{"type":"Transition","startVersion":7,"endVersion":7,"modifications":[]}',
  ]) {
    const { raw, upstream } = await relayed(t);
    upstream.webSocket.send(nonsense);
    assert.ok([1011, 1012].includes((await raw.closed()).code), `${nonsense} ${raw.socket.end.code}`);
    assert.deepEqual(raw.socket.received, []);
    await waitFor("the deployment's socket is closed", () => upstream.end);
  }
  assert.equal((await other.call("Action", "demo:ping")).result, "pong");
});

test("a transition that does not follow the one before is not shown to the client", async (t) => {
  const { raw, upstream } = await relayed(t);
  raw.connect();
  raw.add("demo:list");
  await raw.transition();
  const version = { querySet: 7, identity: 0, ts: "AQAAAAAAAAA=" };
  upstream.send({ type: "Transition", startVersion: version, endVersion: version, modifications: [], clientClockSkew: 0, serverTs: 0 });
  await raw.closed();
  assert.deepEqual(raw.socket.gaps, []);
});

test("a slow client slows its own deployment's socket and nobody else's", async (t) => {
  const [slow, quick] = [await relayed(t), await relayed(t)];
  slow.raw.socket.pause();
  for (let index = 0; index < FLOOD; index += 1) slow.upstream.send(flood(index));
  for (let round = 0; round < 50; round += 1) assert.equal((await quick.raw.call("Action", "demo:ping")).result, "pong");
  const held = slow.upstream.webSocket.bufferedAmount;
  assert.ok(held > (FLOOD / 2) * MEBIBYTE, `${Math.round(held / MEBIBYTE)} MiB are still at the deployment`);
  slow.raw.socket.resume();
  await waitFor("all of it has come", () => slow.raw.socket.received.length === FLOOD);
  assert.deepEqual(
    slow.raw.socket.received.map(({ message }) => message.requestId),
    Array.from({ length: FLOOD }, (_, index) => index),
  );
});

test("a slow deployment slows its own client and nobody else", async (t) => {
  const [slow, quick] = [await relayed(t), await relayed(t)];
  slow.raw.connect();
  await waitFor("the first word is there", () => slow.upstream.messages.length === 1);
  slow.upstream.webSocket.pause();
  const body = "x".repeat(MEBIBYTE);
  for (let index = 0; index < FLOOD; index += 1)
    slow.raw.send({ type: "Action", requestId: index, udfPath: "demo:nothing", args: [{ body }] });
  for (let round = 0; round < 50; round += 1) assert.equal((await quick.raw.call("Action", "demo:ping")).result, "pong");
  assert.ok(slow.raw.socket.bufferedAmount > (FLOOD / 2) * MEBIBYTE);
  // The other direction of the same socket is open.
  slow.upstream.send({ type: "Ping" });
  await slow.raw.next("a Ping", ({ type }) => type === "Ping");
  slow.upstream.webSocket.resume();
  await waitFor("all of it has come", () => slow.upstream.of("Action").length === FLOOD);
  assert.deepEqual(
    slow.upstream.of("Action").map(({ requestId }) => requestId),
    Array.from({ length: FLOOD }, (_, index) => index),
  );
});

test("a deployment that refuses the proxy's token has the cookie's client go on anonymously, once and for all", async (t) => {
  const refusing = await scriptedDeployment({ refuses: () => true });
  refusing.sessions.set("ada-session", "users|ada");
  const blamed = await inFront(refusing.url);
  t.after(async () => {
    await blamed.stop();
    refusing.close();
  });
  const before = await blamed.metrics();
  const client = connect(t, blamed.publicUrl, { headers });
  const [whoami, list] = [client.watch("demo:whoami"), client.watch("demo:list")];
  assert.equal(await whoami.until((identity) => identity === null), null);
  await client.mutation("demo:send", { body: "from nobody" });
  await list.until((messages) => messages.some(({ author, body }) => author === "anonymous" && body === "from nobody"));
  assert.equal(await client.action("demo:ping"), "pong");
  assert.equal(client.sockets.length, 1, "on the socket that it had");
  assert.equal(client.socket.of("AuthError").length, 0, "the client's own word was not refused");
  const asked = refusing.sockets.flatMap((socket) => socket.of("Authenticate"));
  assert.equal(asked.length, 1, "the refused token is not tried again");
  assert.ok(refusing.sockets.length <= 2, `${refusing.sockets.length} sockets at the deployment`);
  await waitFor("the log says what to check", () => /auth\.config/.test(blamed.stderr));
  const after = await blamed.metrics();
  assert.equal(after(REFUSED_TOKENS) - before(REFUSED_TOKENS), 1);
  await client.close();
});

test("a real deployment with another issuer does the same", async (t) => {
  const pair = keyPair();
  const dev = await startDev({ CONVEX_AUTH_ADAPTER_SECRET: "one secret" });
  const foreign = await inFront(dev.deploymentUrl, {
    CONVEX_AUTH_ADAPTER_SECRET: "one secret",
    CONVEX_AUTH_PRIVATE_KEY: pair.pem,
    JWKS: pair.jwks,
  });
  t.after(() => Promise.all([foreign.stop(), dev.stop()]));
  const { cookie } = await signedIn(foreign);
  const client = connect(t, foreign.publicUrl, { headers: { cookie, origin: APP_ORIGIN } });
  assert.equal(await client.watch("demo:whoami").until((identity) => identity === null), null);
  assert.equal(typeof (await client.mutation("demo:send", { body: "from nobody" })), "string");
  assert.equal(client.sockets.length, 1);
  // The same token as the client's own word is the client's own failure.
  const own = connect(t, foreign.publicUrl);
  own.setAuth(pageTokens(foreign, cookie));
  await waitFor("it is told that it is logged out", () => own.authChanges.includes(false));
  assert.ok(!own.authChanges.includes(true));
  assert.equal(await own.query("demo:whoami"), null);
  await Promise.all([client.close(), own.close()]);
});

test("a client waits for a deployment that is not there, and is served when it comes", async (t) => {
  const [port] = await freePorts(1);
  const waiting = await inFront(`http://127.0.0.1:${port}`);
  t.after(() => waiting.stop());
  const client = connect(t, waiting.publicUrl);
  const whoami = client.watch("demo:whoami");
  const refused = await upgrade(waiting.publicUrl);
  assert.ok([101, 502, 503].includes(refused.status), `${refused.status} ${refused.text}`);
  await waitFor("it has tried", () => client.sockets[0].readyState === 3);
  assert.equal(whoami.value, undefined);
  const late = await startDev({ CONVEX_AUTH_PROXY__DEV__LISTEN: `127.0.0.1:${port}` });
  t.after(() => late.stop());
  assert.equal(await whoami.until(() => true), null);
  await client.close();
});
