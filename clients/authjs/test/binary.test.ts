import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { ConvexAuthProxyAdapter, convexToken, sessionTokenFrom } from "convex-auth-proxy-adapter";

import { Browser, linkApp } from "./lib/app.js";
import { skip, startDev, type RunningProxy } from "./lib/binary.js";
import { describeContract } from "./lib/contract.js";

let overHttp: RunningProxy;
let overSocket: RunningProxy;
let withToken: RunningProxy;

before(async () => {
  if (skip) return;
  [overHttp, overSocket, withToken] = await Promise.all([
    startDev(),
    startDev({ socket: true }),
    startDev({ env: { CONVEX_AUTH_PROXY__ADAPTER__TOKENS: "a token of the tests".replaceAll(" ", "-") } }),
  ]);
});
after(() => Promise.all([overHttp, overSocket, withToken].map((proxy) => proxy?.stop())));

const byHttp = () => ConvexAuthProxyAdapter({ url: overHttp.adapterUrl });
const byFetch = () => ConvexAuthProxyAdapter({ url: overHttp.adapterUrl, fetch });
const bySocket = () => ConvexAuthProxyAdapter({ socketPath: overSocket.socketPath });
const byToken = () => ConvexAuthProxyAdapter({ url: withToken.adapterUrl, token: "a-token-of-the-tests" });

describeContract("over HTTP", byHttp, skip);
describeContract("over HTTP by fetch", byFetch, skip);
describeContract("over a unix socket", bySocket, skip);

test("where callers need a token, one with it is served and one without is told", { skip }, async () => {
  assert.equal(await byToken().getUserByEmail("nobody@example.com"), null);
  const without = ConvexAuthProxyAdapter({ url: withToken.adapterUrl });
  await assert.rejects(async () => without.getUserByEmail("nobody@example.com"), { name: "ConvexAuthProxyError", status: 401 });
  await assert.rejects(convexToken("session", { url: withToken.adapterUrl }), { name: "ConvexAuthProxyError", status: 401 });
});

test("an argument that the proxy refuses is told by its name and without its value", { skip }, async () => {
  await assert.rejects(async () => byHttp().getUser({ secret: "value" } as never), (error: Error) => {
    assert.match(error.message, /getUser: .*id/);
    assert.doesNotMatch(error.message, /value|secret/);
    return true;
  });
});

for (const [way, make, options] of [
  ["over HTTP", byHttp, () => ({ url: overHttp.adapterUrl })],
  ["over HTTP by fetch", byFetch, () => ({ url: overHttp.adapterUrl, fetch })],
  ["over a unix socket", bySocket, () => ({ socketPath: overSocket.socketPath })],
] as const) {
  test(`Auth.js signs up by a link, stays, gives a token for Convex, and signs out, ${way}`, { skip }, async () => {
    const app = linkApp(make());
    const browser = new Browser(app);
    const email = `${randomUUID()}@example.com`;
    assert.equal(await browser.session(), null);

    await browser.signIn(email);
    assert.deepEqual([app.events, app.errors], [["createUser", "signIn"], []]);
    assert.equal((await browser.session()).user.email, email);

    const user = (await make().getUserByEmail(email))!;
    assert.ok(user.emailVerified instanceof Date);
    const sessionToken = sessionTokenFrom(browser.cookieHeader);
    const token = await convexToken(sessionToken, options());
    assert.equal(subjectOf(token), user.id);
    const fresh = await convexToken(sessionToken, { ...options(), forceRefresh: true });
    assert.equal(subjectOf(fresh), user.id);
    assert.notEqual(fresh, token);

    await browser.signOut();
    assert.equal(await browser.session(), null);
    assert.equal(await convexToken(sessionToken, options()), null);
    assert.equal(await make().getSessionAndUser(sessionToken!), null);
    assert.deepEqual(app.errors, []);
  });

  test(`a second link signs the same user in and updates the user, ${way}`, { skip }, async () => {
    const app = linkApp(make());
    const browser = new Browser(app);
    const email = `${randomUUID()}@example.com`;
    await browser.signIn(email);
    const user = (await make().getUserByEmail(email))!;
    await browser.signIn(email);
    assert.deepEqual([app.events, app.errors], [["createUser", "signIn", "updateUser", "signIn"], []]);
    assert.equal((await make().getUserByEmail(email))?.id, user.id);
  });
}

test("a link that was used, or that names nobody, signs nobody in", { skip }, async () => {
  const app = linkApp(byHttp());
  const email = `${randomUUID()}@example.com`;
  await new Browser(app).signIn(email);
  for (const link of [app.links[0]!, app.links[0]!.replace(/&email=[^&]*/, "")]) {
    const other = new Browser(app);
    assert.match(String((await other.visit(link)).headers.get("location")), /error=Verification/);
    assert.equal(await other.session(), null);
  }
});

test("the proxy's being away is an error of Auth.js, and the cookie stays", { skip }, async () => {
  const proxy = await startDev();
  const app = linkApp(ConvexAuthProxyAdapter({ url: proxy.adapterUrl }));
  const browser = new Browser(app);
  await browser.signIn(`${randomUUID()}@example.com`);
  const cookies = browser.cookieHeader;
  await proxy.stop();
  assert.equal(await browser.session(), null);
  assert.equal(browser.cookieHeader, cookies);
  assert.deepEqual(app.errors.map(({ name }) => name), ["AdapterError", "SessionTokenError"]);
});

test("a browser's requests for a token are served by the public listener", { skip }, async (t) => {
  await import("./lib/dom.js");
  const { TokenSource } = await import("../src/react/token-source.js");
  const browser = new Browser(linkApp(byHttp()));
  await browser.signIn(`${randomUUID()}@example.com`);
  const plain = globalThis.fetch;
  // A browser adds these two by itself.
  t.mock.method(globalThis, "fetch", (url: string, init: RequestInit) =>
    plain(url, { ...init, headers: { ...init.headers, cookie: browser.cookieHeader, origin: "http://localhost:3000" } }),
  );
  const source = new TokenSource(overHttp.publicUrl);
  const tokens = [false, true, true].map((forceRefreshToken) => () => source.fetchAccessToken({ forceRefreshToken }));
  const given = [await tokens[0]!(), await tokens[1]!(), await tokens[2]!()];
  assert.equal(new Set(given.map(subjectOf)).size, 1);
  assert.equal(new Set(given).size, 3);
  await browser.signOut();
  assert.equal(await source.fetchAccessToken({ forceRefreshToken: true }), null);
});

function subjectOf(token: string | null): string {
  assert.ok(token);
  return JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()).sub;
}
