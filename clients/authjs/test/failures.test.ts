import assert from "node:assert/strict";
import { test } from "node:test";

import { ConvexAuthProxyAdapter, ConvexAuthProxyError, type ConvexAuthProxyOptions } from "convex-auth-proxy-adapter";

import { answering, fakeProxy, json } from "./lib/fake-proxy.js";
import { fullServer, rawServer } from "./lib/raw-server.js";
import { WAYS } from "./lib/ways.js";

const SECRET = "s3cr3t-of-the-user";

/** The error that a call fails with, once it is known to be of the right kind and to quote nothing. */
async function failureOf(call: Promise<unknown> | unknown): Promise<ConvexAuthProxyError> {
  const error = await Promise.resolve(call).then(() => assert.fail("the call did not fail"), (reason: unknown) => reason);
  assert.ok(error instanceof ConvexAuthProxyError, String(error));
  assert.equal(error.name, "ConvexAuthProxyError");
  assert.ok(!error.message.includes(SECRET), error.message);
  assert.ok(!String((error.cause as Error | undefined)?.message).includes(SECRET));
  return error;
}

for (const [way, options] of WAYS) {
  const adapterAt = (url: string, more: ConvexAuthProxyOptions = {}) => ConvexAuthProxyAdapter({ url, ...options, ...more });

  test(`a refusal has the proxy's code, message and status, and the method's name, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, (_, response) => json(response, 404, { code: "UserNotFound", message: "there is no such user" }));
    const error = await failureOf(adapterAt(proxy.url).updateUser({ id: SECRET }));
    assert.deepEqual(
      [error.code, error.status, error.method, error.message],
      ["UserNotFound", 404, "updateUser", "updateUser: there is no such user"],
    );
  });

  test(`an outage that the proxy tells is an error, never null, and is asked for once, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, (_, response) => json(response, 502, { code: "UpstreamUnreachable", message: "no deployment" }));
    const error = await failureOf(adapterAt(proxy.url).getSessionAndUser(SECRET));
    assert.deepEqual([error.code, error.status], ["UpstreamUnreachable", 502]);
    assert.equal(proxy.received.length, 1);
  });

  for (const [what, status, body] of [
    ["a page with status 200", 200, `<html>${SECRET}</html>`],
    ["a page with status 502", 502, `<html>${SECRET}</html>`],
    ["an empty answer", 200, ""],
    ["an empty 204", 204, ""],
    ["foreign JSON with status 500", 500, `{"error":"${SECRET}"}`],
    ["a list with status 500", 500, `["${SECRET}"]`],
  ] as const) {
    test(`${what} is unreadable, ${way}`, async (t) => {
      const proxy = await fakeProxy(t, (_, response) => response.writeHead(status).end(body));
      const error = await failureOf(adapterAt(proxy.url).getUser(SECRET));
      assert.deepEqual([error.code, error.status, error.cause], ["Unreadable", status, undefined]);
    });
  }

  test(`a redirect is not followed, ${way}`, async (t) => {
    const elsewhere = await fakeProxy(t, answering({ getUser: { id: "1" } }));
    for (const status of [301, 307, 308]) {
      const proxy = await fakeProxy(t, (_, response) => response.writeHead(status, { location: `${elsewhere.url}/adapter/getUser` }).end());
      const error = await failureOf(adapterAt(proxy.url).getUser(SECRET));
      assert.deepEqual([error.code, error.status], ["Unreadable", status]);
    }
    assert.equal(elsewhere.received.length, 0);
  });

  test(`a port where nobody listens is unreachable, with the cause, ${way}`, async (t) => {
    const gone = await rawServer(t, () => {});
    gone.server.close();
    const error = await failureOf(adapterAt(gone.url).getUser(SECRET));
    assert.deepEqual([error.code, error.status], ["Unreachable", undefined]);
    assert.match(error.message, /ECONNREFUSED/);
    assert.ok(error.cause instanceof Error);
  });

  test(`a call ends at its time limit when the proxy does not answer, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, () => {});
    const error = await failureOf(adapterAt(proxy.url, { timeoutMs: 50 }).getUser(SECRET));
    assert.deepEqual([error.code, error.status], ["Timeout", undefined]);
    assert.equal(proxy.received.length, 1, "a query is not sent again after its time is over");
  });

  test(`the time limit covers the body of the answer, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, (_, response) => void response.writeHead(200).write('{"id":'));
    assert.equal((await failureOf(adapterAt(proxy.url, { timeoutMs: 50 }).getUser(SECRET))).code, "Timeout");
  });

  test(`the time limit covers the connecting, ${way}`, async (t) => {
    const error = await failureOf(adapterAt(await fullServer(t), { timeoutMs: 50 }).getUser(SECRET));
    assert.deepEqual([error.code, error.status], ["Timeout", undefined]);
  });

  test(`a connection whose call ran out of time is not used again, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, (_, response) => void response.writeHead(200).write("nu"));
    assert.equal((await failureOf(adapterAt(proxy.url, { timeoutMs: 50 }).getUser(SECRET))).code, "Timeout");
    proxy.respond((_, response) => json(response, 200, null));
    assert.equal(await adapterAt(proxy.url).getUser("1"), null);
    assert.deepEqual(proxy.received.map(({ connection }) => connection), [0, 1]);
  });

  test(`a mutation is sent once, also when the connection breaks after it was read, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => socket.destroy());
    const error = await failureOf(adapterAt(proxy.url).deleteSession(SECRET));
    assert.equal(error.code, "Unreachable");
    assert.equal(proxy.requests(), 1);
  });

  test(`a query is sent a second time when its connection breaks before an answer, and not a third, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => socket.destroy());
    assert.equal((await failureOf(adapterAt(proxy.url).getSessionAndUser(SECRET))).code, "Unreachable");
    assert.equal(proxy.requests(), 2);
  });

  test(`a query whose first connection breaks succeeds on the second, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket, nth) =>
      nth === 1 ? socket.destroy() : socket.end("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull"),
    );
    assert.equal(await adapterAt(proxy.url).getUser("1"), null);
    assert.equal(proxy.requests(), 2);
  });

  test(`a query is not sent again once its answer has begun, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"));
    assert.equal((await failureOf(adapterAt(proxy.url).getUser(SECRET))).code, "Unreachable");
    assert.equal(proxy.requests(), 1);
  });

  test(`nor when the connection is reset in the midst of it, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{");
      setTimeout(() => socket.resetAndDestroy(), 20);
    });
    assert.equal((await failureOf(adapterAt(proxy.url).getUser(SECRET))).code, "Unreachable");
    assert.equal(proxy.requests(), 1);
  });

  for (const [what, bytes] of [
    ["text that is no HTTP", `${SECRET}\r\n\r\n`],
    ["a head without end", `HTTP/1.1 200 OK\r\nlong: ${"x".repeat(40_000)}\r\n\r\n`],
  ] as const) {
    test(`${what} is no answer, ${way}`, async (t) => {
      const proxy = await rawServer(t, (socket) => socket.end(bytes));
      assert.equal((await failureOf(adapterAt(proxy.url).getUser(SECRET))).code, "Unreachable");
    });
  }

  test(`a change of protocol is no answer, and is told at once, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => void socket.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n"));
    assert.equal((await failureOf(adapterAt(proxy.url, { timeoutMs: 2000 }).getUser(SECRET))).code, "Unreachable");
  });
}

for (const [method, args, answer] of [
  ["createUser", [{}], null],
  ["createSession", [{}], null],
  ["updateUser", [{ id: "1" }], null],
  ["getUser", ["1"], []],
  ["getUser", ["1"], "yes"],
  ["getUser", ["1"], { emailVerified: SECRET }],
  ["getUser", ["1"], { emailVerified: true }],
  ["deleteSession", ["1"], {}],
  ["getSessionAndUser", ["1"], { session: { expires: 1 } }],
  ["listAuthenticatorsByUserId", ["1"], null],
  ["createAuthenticator", [{}], null],
] as const) {
  test(`${method} does not take ${JSON.stringify(answer)} for what the contract promises`, async (t) => {
    const proxy = await fakeProxy(t, answering({ [method]: answer }));
    const adapter = ConvexAuthProxyAdapter({ url: proxy.url }) as unknown as Record<string, (...args: readonly unknown[]) => Promise<unknown>>;
    assert.equal((await failureOf(adapter[method]!(...args))).code, "Unreadable");
  });
}

test("values that JSON cannot carry are refused before anything is sent", async (t) => {
  const proxy = await fakeProxy(t, answering({}));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url });
  const circle: Record<string, unknown> = {};
  circle.circle = circle;
  const calls: [member: string, call: () => unknown][] = [
    ["expires", () => adapter.createSession({ sessionToken: SECRET, userId: "1", expires: new Date(Number.NaN) })],
    ["emailVerified", () => adapter.updateUser({ id: "1", emailVerified: new Date(SECRET) })],
    ["expires_at", () => adapter.linkAccount({ expires_at: Number.NaN } as never)],
    ["newCounter", () => adapter.updateAuthenticatorCounter(SECRET, Number.POSITIVE_INFINITY)],
    ["size", () => adapter.createUser({ size: 1n } as never)],
    ["argument", () => adapter.createUser({ circle } as never)],
  ];
  for (const [member, call] of calls) {
    const error = await failureOf(call());
    assert.deepEqual([error.code, error.status], ["AdapterArgumentInvalid", undefined]);
    assert.match(error.message, new RegExp(member));
  }
  assert.equal(proxy.received.length, 0);
});

for (const [what, options, expected] of [
  ["no URL", {}, /CONVEX_ADAPTER_URL/],
  ["text that is no URL", { url: "localhost" }, /not a URL/],
  ["a scheme that is not http", { url: "ftp://localhost" }, /http:\/\/ or https:\/\//],
  ["a socket as URL", { url: "unix:/run/proxy.sock" }, /socketPath/],
  ["a user in the URL", { url: "http://user:word@localhost" }, /user/],
  ["a query in the URL", { url: "http://localhost?a=b" }, /query/],
  ["a token with a line break", { url: "http://localhost", token: `${SECRET}\n` }, /CONVEX_ADAPTER_TOKEN/],
  ["fetch and socketPath together", { socketPath: "/nowhere", fetch }, /exclude/],
  ["no time at all", { url: "http://localhost", timeoutMs: 0 }, /timeoutMs/],
  ["more time than a timer takes", { url: "http://localhost", timeoutMs: 2 ** 31 }, /timeoutMs/],
] satisfies [string, ConvexAuthProxyOptions, RegExp][]) {
  test(`${what} is told by the first call, not before`, async () => {
    const adapter = ConvexAuthProxyAdapter(options);
    const error = await failureOf(adapter.getUser("1"));
    assert.equal(error.code, "ConfigurationInvalid");
    assert.match(error.message, expected);
  });
}

test("a fetch that does not heed its signal is not waited for", async () => {
  const deaf = () => new Promise<Response>(() => {});
  assert.equal((await failureOf(ConvexAuthProxyAdapter({ url: "http://localhost", fetch: deaf, timeoutMs: 20 }).getUser(SECRET))).code, "Timeout");
});

test("a query is not sent again where there was no connection to break", async () => {
  let count = 0;
  const refusing = async () => {
    count++;
    throw new TypeError("fetch failed", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });
  };
  assert.equal((await failureOf(ConvexAuthProxyAdapter({ url: "http://localhost", fetch: refusing }).getUser(SECRET))).code, "Unreachable");
  assert.equal(count, 1);
});
