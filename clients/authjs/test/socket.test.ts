import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { ConvexAuthProxyAdapter, ConvexAuthProxyError, convexToken } from "convex-auth-proxy-adapter";

import { answering, fakeProxy } from "./lib/fake-proxy.js";

function socketIn(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "adapter-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "adapter.sock");
}

const user = { id: "u1", email: "é@example.com", emailVerified: null };

test("a unix socket carries calls, with localhost as the host's name", async (t) => {
  const socketPath = socketIn(t);
  const proxy = await fakeProxy(t, answering({ getUser: user, token: { token: "jwt", expiresAt: 1 } }), socketPath);
  assert.deepEqual(await ConvexAuthProxyAdapter({ socketPath, token: "caller" }).getUser("ü1"), user);
  assert.equal(await convexToken("session", { socketPath }), "jwt");
  assert.deepEqual(proxy.received.map(({ path, body }) => [path, body]), [
    ["POST /adapter/getUser", { id: "ü1" }],
    ["POST /auth/token", { sessionToken: "session" }],
  ]);
  const { host, authorization, "content-type": type } = proxy.received[0]!.headers;
  assert.deepEqual([host, authorization, type], ["localhost", "Bearer caller", "application/json"]);
});

test("host and path of a socket come from the URL", async (t) => {
  const socketPath = socketIn(t);
  const proxy = await fakeProxy(t, answering({ getUser: null }), socketPath);
  await ConvexAuthProxyAdapter({ socketPath, url: "http://adapter.internal:8081/base/" }).getUser("1");
  assert.deepEqual([proxy.received[0]!.path, proxy.received[0]!.headers.host], ["POST /base/adapter/getUser", "adapter.internal:8081"]);
});

test("queries share a kept connection, a mutation has one of its own", async (t) => {
  const socketPath = socketIn(t);
  const proxy = await fakeProxy(t, answering({ getUser: null, deleteSession: null }), socketPath);
  const adapter = ConvexAuthProxyAdapter({ socketPath });
  for (const call of [adapter.getUser, adapter.getUser, adapter.deleteSession, adapter.getUser, adapter.deleteSession]) await call("1");
  assert.deepEqual(proxy.received.map(({ connection }) => connection), [0, 0, 1, 0, 2]);
});

test("on a socket too a query survives one broken connection, and a mutation is sent once", async (t) => {
  const socketPath = socketIn(t);
  const proxy = await fakeProxy(t, ({}, response) => response.socket!.destroy(), socketPath);
  const adapter = ConvexAuthProxyAdapter({ socketPath });
  const isUnreachable = (error: unknown) => error instanceof ConvexAuthProxyError && error.code === "Unreachable";
  await assert.rejects(async () => adapter.deleteSession("1"), isUnreachable);
  assert.equal(proxy.received.length, 1);
  await assert.rejects(async () => adapter.getUser("1"), isUnreachable);
  assert.equal(proxy.received.length, 3);
});

test("a socket's time limit covers the body, and a socket that is not there is unreachable", async (t) => {
  const socketPath = socketIn(t);
  await fakeProxy(t, (_, response) => void response.writeHead(200).write("{"), socketPath);
  const isA = (code: string) => (error: unknown) => error instanceof ConvexAuthProxyError && error.code === code;
  await assert.rejects(async () => ConvexAuthProxyAdapter({ socketPath, timeoutMs: 50 }).getUser("1"), isA("Timeout"));
  await assert.rejects(async () => ConvexAuthProxyAdapter({ socketPath: `${socketPath}.not` }).getUser("1"), isA("Unreachable"));
});
