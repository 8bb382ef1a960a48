// The shapes in which an app reaches the proxy: under a path of its own host, by a socket file, with callers' tokens.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { ConvexHttpClient } from "convex/browser";
import { fetchQuery } from "convex/nextjs";
import { anyApi } from "convex/server";
import { createRemoteJWKSet, jwtVerify } from "jose";

import { convexAdapter, postTo, thinAdapter } from "./lib/adapter.mjs";
import { Browser, magicLinkApp } from "./lib/browser.mjs";
import { assertRefused, call, refusalOf, send, valueOf } from "./lib/http.mjs";
import { privateDirectory, startDev } from "./lib/proxy.mjs";
import { APP_ORIGIN, SESSION_COOKIE, freshEmail, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";

const { demo, authAdapter } = anyApi;

describe("under a path of the app's own host", async () => {
  const proxy = await startDev({ CONVEX_AUTH_PROXY__LISTEN__BASE_PATH: "/convex" });
  after(() => proxy.stop());
  const root = `http://localhost:${proxy.ports.public}`;

  test("the published client keeps the path", async () => {
    assert.equal(proxy.publicUrl, `${root}/convex`);
    assert.equal(proxy.printed("NEXT_PUBLIC_CONVEX_URL"), proxy.publicUrl);
    const { userId, sessionToken, cookie } = await signedIn(proxy);
    const client = new ConvexHttpClient(proxy.publicUrl);
    assert.equal(await client.query(demo.whoami), null);
    assert.equal(await client.consistentQuery(demo.whoami), null);
    assert.equal(typeof (await client.mutation(demo.send, { body: "x" })), "string");
    assert.equal(await client.action(demo.ping), "pong");
    client.setAuth((await tokenFor(proxy, { sessionToken })).json.token);
    assert.equal((await client.query(demo.whoami)).subject, userId);
    assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie, origin: APP_ORIGIN })).subject, userId);
  });

  test("tokens and documents are of the path too", async () => {
    const { cookie, userId } = await signedIn(proxy);
    const { json } = await tokenByCookie(proxy, cookie);
    const discovery = (await send(`${proxy.publicUrl}/.well-known/openid-configuration`)).json;
    assert.equal(discovery.issuer, `http://127.0.0.1:${proxy.ports.public}/convex`);
    const { payload } = await jwtVerify(json.token, createRemoteJWKSet(new URL(discovery.jwks_uri)), { issuer: discovery.issuer, audience: "convex" });
    assert.equal(payload.sub, userId);
  });

  test("adapter functions are guarded as anywhere", async () => {
    const { sessionToken, userId } = await signedIn(proxy);
    const client = new ConvexHttpClient(proxy.publicUrl);
    assert.equal((await refusalOf(client.query(authAdapter.getSessionAndUser, { sessionToken }))).code, "AdapterForbidden");
    const adapter = convexAdapter({ url: proxy.publicUrl, secret: proxy.secret });
    assert.equal((await adapter.getSessionAndUser(sessionToken)).user.id, userId);
  });

  test("without the path there is nothing", async () => {
    const body = { path: "demo:whoami", args: {} };
    for (const target of ["/api/query", "/convexapi/query", "/Convex/api/query", "/convex//api/query", "/convex/convex/api/query", "/other/api/query"]) {
      assertRefused(await send(root + target, { body }), 404, "NotFound");
    }
    for (const target of ["/.well-known/jwks.json", "/convex", "/convex/"]) assertRefused(await send(root + target), 404, "NotFound");
    assertRefused(await send(`${root}/auth/token`, { method: "POST" }), 404, "NotFound");
    await assert.rejects(fetchQuery(demo.whoami, {}, { url: `${proxy.publicUrl}/` }), /NotFound/, "an address with a slash at its end");
  });

  test("a session lives from sign-in to sign-out", async () => {
    const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }));
    const browser = new Browser(app);
    await browser.signIn(freshEmail());
    const cookie = browser.cookieHeader;
    const page = { cookie, origin: APP_ORIGIN };
    assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, page)).subject, app.events[0].user.id);
    await browser.signOut();
    assert.equal(await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, page), null);
    assertRefused(await tokenByCookie(proxy, cookie), 401, "NoSession");
  });
});

describe("the adapter listener as a socket file", async () => {
  const socketPath = join(privateDirectory(), "adapter.sock");
  const proxy = await startDev({ CONVEX_AUTH_PROXY__LISTEN__ADAPTER: `unix:${socketPath}` });
  after(() => proxy.stop());
  const post = async (path, body) => {
    const { status, json, text } = await send(`http://localhost${path}`, { socketPath, body });
    if (status !== 200) throw new Error(text);
    return json;
  };
  const thin = thinAdapter(post);
  const visitor = async () => {
    const user = await thin.createUser({ email: freshEmail(), emailVerified: new Date(), image: null });
    const session = await thin.createSession({ sessionToken: crypto.randomUUID(), userId: user.id, expires: new Date(Date.now() + 60_000) });
    return { user, session, cookie: `${SESSION_COOKIE}=${session.sessionToken}` };
  };

  test("nobody but its owner can open it", () => {
    assert.ok(statSync(socketPath).isSocket());
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  });

  test("Auth.js's wire, tokens and functions are served there", async () => {
    const { user, session, cookie } = await visitor();
    const read = await thin.getSessionAndUser(session.sessionToken);
    assert.deepEqual(read.session.expires, session.expires);
    assert.deepEqual(read.user.emailVerified, user.emailVerified);
    assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie })).subject, user.id);
    const { token } = await post("/auth/token", { sessionToken: session.sessionToken });
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, headers)).subject, user.id);
    const found = await post("/api/query", { path: "authAdapter:getUserByEmail", args: { email: user.email } });
    assert.equal(found.value._id, user.id);
    await thin.updateUser({ id: user.id, name: "Renamed" });
    assert.equal((await thin.getSessionAndUser(session.sessionToken)).user.name, "Renamed");
    await thin.deleteSession(session.sessionToken);
    assert.equal(await thin.getSessionAndUser(session.sessionToken), null);
    assert.equal(await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie }), null);
    assertRefused(await call(proxy.publicUrl, "query", "demo:whoami", {}, headers), 401, "SessionEnded");
  });

  test("a browser is refused there too", async () => {
    const body = { sessionToken: "x" };
    const origin = await send("http://localhost/auth/token", { socketPath, body, headers: { origin: APP_ORIGIN } });
    assertRefused(origin, 403, "BrowserRefused");
    assertRefused(await send("http://evil.example/auth/token", { socketPath, body }), 403, "HostRefused");
  });
});

describe("the adapter listener with callers' tokens", async () => {
  const tokens = ["first-caller-0123456789", "second-caller-9876543210"];
  const proxy = await startDev({ CONVEX_AUTH_PROXY__ADAPTER__TOKENS: tokens.join(",") });
  after(() => proxy.stop());
  const bearer = (token) => ({ authorization: `Bearer ${token}` });

  test("each listed caller acts as the app, by the published client and by Auth.js's wire", async () => {
    for (const token of tokens) {
      const adapter = convexAdapter({ url: proxy.adapterUrl, token });
      const user = await adapter.createUser({ email: freshEmail(), emailVerified: null });
      const expires = new Date(Date.now() + 60_000);
      const session = await adapter.createSession({ sessionToken: crypto.randomUUID(), userId: user.id, expires });
      const thin = thinAdapter(postTo(proxy.adapterUrl, bearer(token)));
      assert.equal((await thin.getSessionAndUser(session.sessionToken)).user.id, user.id);
      assert.equal(await fetchQuery(demo.whoami, {}, { url: proxy.adapterUrl, token }), null, "the token is spent on the proxy");
      const { json } = await send(`${proxy.adapterUrl}/auth/token`, { body: { userId: user.id }, headers: bearer(token) });
      assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, bearer(json.token))).subject, user.id);
    }
  });

  test("anybody else is refused, whatever is asked", async () => {
    for (const headers of [{}, bearer("third-caller-0123456789"), bearer(tokens[0].slice(0, -1)), bearer(`${tokens[0]}x`), bearer(tokens[0].toUpperCase())]) {
      for (const [path, body] of [
        ["/api/query", { path: "demo:whoami", args: {} }],
        ["/api/query", { path: "authAdapter:getUser", args: { id: "x", secret: proxy.secret } }],
        ["/adapter/getSessionAndUser", { sessionToken: "x" }],
        ["/auth/token", { userId: "x" }],
      ]) {
        assertRefused(await send(proxy.adapterUrl + path, { body, headers }), 401, "CallerUnauthorized");
      }
    }
  });

  test("a caller's token is worth nothing on the public listener", async () => {
    const args = { sessionToken: "x" };
    assertRefused(await call(proxy.publicUrl, "query", "authAdapter:getSessionAndUser", args, bearer(tokens[0])), 403, "AdapterForbidden");
  });
});

describe("a nested module", async () => {
  const proxy = await startDev({ CONVEX_AUTH_PROXY__ADAPTER__MODULE: "auth/adapter" });
  after(() => proxy.stop());

  test("is guarded in every spelling and served to the adapter", async () => {
    const adapter = convexAdapter({ url: proxy.adapterUrl, module: "auth/adapter" });
    const user = await adapter.createUser({ email: freshEmail(), emailVerified: null });
    assert.equal((await adapter.getUser(user.id)).id, user.id);
    for (const path of ["auth/adapter:getUser", "auth//adapter:getUser", "auth/./adapter.js:getUser", "auth/adapter.js/.:getUser"]) {
      assertRefused(await call(proxy.publicUrl, "query", path, { id: user.id }), 403, "AdapterForbidden");
      const found = await valueOf(proxy.publicUrl, "query", path, { id: user.id, secret: proxy.secret });
      assert.equal(found._id, user.id);
    }
  });
});

describe("with other cookies and origins", async () => {
  const proxy = await startDev({
    CONVEX_AUTH_PROXY__SESSION__COOKIES: "my-session",
    CONVEX_AUTH_PROXY__SESSION__ORIGINS: "https://app.example.com,https://admin.example.com",
    CONVEX_AUTH_PROXY__TOKEN__CLAIMS: "email,name",
    CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "10m",
    CONVEX_AUTH_PROXY__TOKEN__AUDIENCE: "my-app",
  });
  after(() => proxy.stop());

  test("those count and the usual ones do not", async () => {
    const { userId, sessionToken, cookie, user } = await signedIn(proxy, { name: "Mary Jackson" });
    const mine = `my-session=${sessionToken}`;
    const whoami = (headers) => valueOf(proxy.publicUrl, "query", "demo:whoami", {}, headers);
    assert.equal(await whoami({ cookie }), null);
    const identity = await whoami({ cookie: mine, origin: "https://admin.example.com" });
    assert.equal(identity.subject, userId);
    assert.equal(identity.email, user.email);
    assert.equal(identity.name, "Mary Jackson");
    assert.equal(await whoami({ cookie: mine, origin: APP_ORIGIN }), null);
    const { json } = await tokenByCookie(proxy, mine);
    const claims = JSON.parse(Buffer.from(json.token.split(".")[1], "base64url"));
    assert.equal(claims.exp - claims.iat, 600);
    assert.equal(claims.aud, "my-app");
    assert.equal(claims.picture, undefined);
  });
});
