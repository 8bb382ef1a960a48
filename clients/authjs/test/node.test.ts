import assert from "node:assert/strict";
import http from "node:http";
import { test, type TestContext } from "node:test";

import { ConvexAuthProxyAdapter, convexToken } from "convex-auth-proxy-adapter";

import { answering, fakeProxy, json, type Respond } from "./lib/fake-proxy.js";
import { rawServer } from "./lib/raw-server.js";

/** Counts the calls of the global `fetch`, which then answers 200 `null`. */
function watchedFetch(t: TestContext): () => number {
  const { mock } = t.mock.method(globalThis, "fetch", async () => new Response("null"));
  return () => mock.callCount();
}

/** Changes what the running process says of itself. */
function versions(change: Record<string, string | undefined>) {
  return (t: TestContext) => {
    const own = Object.getOwnPropertyDescriptor(process, "versions")!;
    t.after(() => void Object.defineProperty(process, "versions", own));
    Object.defineProperty(process, "versions", { ...own, value: { ...process.versions, ...change } });
  };
}

test("on Node a call over TCP goes past the global fetch", async (t) => {
  const fetched = watchedFetch(t);
  const proxy = await fakeProxy(t, answering({ getUser: null, deleteSession: null, token: { token: "jwt" } }));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url });
  await adapter.getUser("1");
  await adapter.deleteSession("1");
  assert.equal(await convexToken("session", { url: proxy.url }), "jwt");
  assert.deepEqual([proxy.received.length, fetched()], [3, 0]);
});

test("Node's client is looked up at every call, so that what watches it sees the call", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null }));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url });
  await adapter.getUser("1");
  const { mock } = t.mock.method(http, "request");
  await adapter.getUser("1");
  assert.equal(mock.callCount(), 1);
});

test("an answer is asked for as it is, as nothing here could unpack it", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null }));
  await ConvexAuthProxyAdapter({ url: proxy.url }).getUser("1");
  assert.equal(proxy.received[0]!.headers["accept-encoding"], "identity");
});

for (const [runtime, change] of [
  ["without the built-in modules", (t: TestContext) => void t.mock.method(process, "getBuiltinModule", () => undefined)],
  ["such as Deno", versions({ deno: "2.5.0" })],
  ["such as Bun", versions({ bun: "1.3.0" })],
  ["such as Cloudflare's", versions({ llhttp: undefined })],
] as const) {
  test(`a runtime ${runtime} keeps to the global fetch, which is looked up at every call`, async (t) => {
    const adapter = ConvexAuthProxyAdapter({ url: "http://localhost" });
    change(t);
    const fetched = watchedFetch(t);
    await adapter.getUser("1");
    await adapter.deleteSession("1");
    assert.equal(fetched(), 2);
  });
}

test("queries share a kept connection, a mutation has one of its own", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null, deleteSession: null, token: { token: "jwt" } }));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url });
  for (const call of [adapter.getUser, adapter.getUser, adapter.deleteSession, adapter.getUser, adapter.deleteSession]) await call("1");
  await convexToken("session", { url: proxy.url });
  assert.deepEqual(proxy.received.map(({ connection }) => connection), [0, 0, 1, 0, 2, 0]);
  assert.deepEqual(proxy.received.map(({ headers }) => headers.connection), ["keep-alive", "keep-alive", "close", "keep-alive", "close", "keep-alive"]);
});

test("when all kept connections break at once, each query succeeds on one of its own, and a mutation does not notice", async (t) => {
  const proxy = await fakeProxy(t, (_, response) => void setTimeout(() => json(response, 200, null), 10));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url });
  await Promise.all(Array.from({ length: 5 }, () => adapter.getUser("1")));
  proxy.received.length = 0;
  // The other side has closed, and each is told so only when it sends.
  proxy.respond(({ connection }, response) => (connection < 5 ? response.socket!.resetAndDestroy() : json(response, 200, null)));
  assert.equal(await adapter.deleteSession("1"), null);
  assert.equal(await adapter.getUser("1"), null);
  assert.deepEqual(await Promise.all([adapter.getUser("1"), adapter.getUser("1")]), [null, null]);
  const used = proxy.received.map(({ connection }) => connection);
  assert.equal(used.filter((connection) => connection >= 5).length, 4);
  assert.equal(new Set(used).size, used.length, "none is used a second time");
});

for (const [stage, respond] of [
  ["before the answer", () => {}],
  ["in the midst of it", (_, response) => void response.writeHead(200).write("nu")],
] satisfies [string, Respond][]) {
  test(`a call whose time is over ${stage} leaves no connection on which the proxy would go on`, async (t) => {
    const proxy = await fakeProxy(t, respond);
    const adapter = ConvexAuthProxyAdapter({ url: proxy.url, timeoutMs: 50 });
    await Promise.all([adapter.getUser("1"), adapter.deleteSession("1")].map((call) => assert.rejects(async () => call, { code: "Timeout" })));
    for (let tries = 0; tries < 50 && (await proxy.connections()) > 0; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual([proxy.received.length, await proxy.connections()], [2, 0]);
  });
}

test("an answer that is no HTTP is not asked for again: the connection did not break", async (t) => {
  const proxy = await rawServer(t, (socket) => socket.end("no HTTP\r\n\r\n"));
  await assert.rejects(async () => ConvexAuthProxyAdapter({ url: proxy.url }).getUser("1"), { code: "Unreachable" });
  assert.equal(proxy.requests(), 1);
});

test("a connection that is not used is closed before long, one whose answer takes longer is not", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null }));
  const slow = await fakeProxy(t, (_, response) => void setTimeout(() => json(response, 200, null), 5_500));
  await Promise.all(Array.from({ length: 30 }, () => ConvexAuthProxyAdapter({ url: proxy.url }).getUser("1")));
  // The servers here keep connections for ever.
  assert.ok((await proxy.connections()) > 1);
  assert.equal(await ConvexAuthProxyAdapter({ url: slow.url }).getUser("1"), null);
  assert.equal(await proxy.connections(), 0);
});
