// Which door a socket comes in by, and what the door asks for: the public listener, the adapter's, and requests that are no upgrade.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { convexAdapter } from "./lib/adapter.mjs";
import { assertRefused, send } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { openConnected, syncUrl, upgrade } from "./lib/raw.mjs";
import { APP_ORIGIN, freshEmail, signedIn } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());
const visitor = await signedIn(proxy);

describe("with adapter.on_public = deny", async () => {
  const closed = await startDev({ CONVEX_AUTH_PROXY__ADAPTER__ON_PUBLIC: "deny" });
  after(() => closed.stop());

  test("the right secret does not help on the public listener", async (t) => {
    const raw = await openConnected(t, closed.publicUrl);
    const failed = await raw.result(raw.add("authAdapter:getUser", { id: "x", secret: closed.secret }));
    assert.equal(failed.type, "QueryFailed");
    assert.equal((await raw.call("Mutation", "authAdapter:deleteSession", { sessionToken: "x", secret: closed.secret })).success, false);
    await raw.assertLives();
  });
});

describe("the adapter listener", () => {
  test("serves the socket with the secret added", async (t) => {
    const raw = await openConnected(t, proxy.adapterUrl);
    assert.equal((await raw.result(raw.add("authAdapter:getUser", { id: visitor.userId }))).value._id, visitor.userId);
    const email = freshEmail();
    const made = await raw.call("Mutation", "authAdapter:createUser", { user: { email, emailVerified: null } });
    assert.equal(made.success, true, made.result);
    assert.equal((await visitor.adapter.getUserByEmail(email)).id, made.result);
    assert.equal((await raw.result(raw.add("authAdapter:getUser", { id: visitor.userId, secret: "wrong" }))).type, "QueryFailed");
    await raw.assertLives();
  });

  test("keeps a session that is watched there up to date", async (t) => {
    const { adapter, sessionToken, userId } = await signedIn(proxy);
    const raw = await openConnected(t, proxy.adapterUrl);
    const queryId = raw.add("authAdapter:getSessionAndUser", { sessionToken });
    assert.equal((await raw.result(queryId)).value.user._id, userId);
    const expires = new Date(Date.now() + 2 * 60 * 60 * 1_000);
    await adapter.updateSession({ sessionToken, expires });
    assert.equal((await raw.result(queryId)).value.session.expires, expires.getTime());
    await adapter.updateUser({ id: userId, name: "Another Name" });
    assert.equal((await raw.result(queryId)).value.user.name, "Another Name");
    await adapter.deleteSession(sessionToken);
    assert.equal((await raw.result(queryId)).value, null);
  });

  test("is closed to browsers and to other hosts", async () => {
    assertRefused(await upgrade(proxy.adapterUrl, { headers: { origin: APP_ORIGIN } }), 403, "BrowserRefused");
    assertRefused(await upgrade(proxy.adapterUrl, { headers: { "sec-fetch-site": "same-site" } }), 403, "BrowserRefused");
    assertRefused(await upgrade(proxy.adapterUrl, { headers: { host: "evil.example" } }), 403, "HostRefused");
  });
});

describe("the adapter listener with callers' tokens", async () => {
  const token = "first-caller-0123456789";
  const guarded = await startDev({ CONVEX_AUTH_PROXY__ADAPTER__TOKENS: token });
  after(() => guarded.stop());

  test("opens its socket to a listed caller alone", async (t) => {
    for (const headers of [{}, { authorization: `Bearer ${token}x` }]) {
      assertRefused(await upgrade(guarded.adapterUrl, { headers }), 401, "CallerUnauthorized");
    }
    const raw = await openConnected(t, guarded.adapterUrl, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await raw.result(raw.add("authAdapter:getUserByEmail", { email: "nobody@example.com" }))).value, null);
  });
});

describe("somebody who guesses the secret", async () => {
  const guessed = await startDev();
  after(() => guessed.stop());

  test("is told to stop, and the right secret passes all the same", async (t) => {
    const raw = await openConnected(t, guessed.publicUrl);
    const guess = (secret) => raw.call("Action", "authAdapter:getUser", { id: "x", secret });
    const said = new Set();
    for (let index = 0; index < 25; index += 1) said.add((await guess(`guess ${index}`)).result);
    assert.equal(said.size, 2, [...said].join("\n"));
    assert.match([...said][1], /minute/);
    const found = await raw.result(raw.add("authAdapter:getUserByEmail", { email: "nobody@example.com", secret: guessed.secret }));
    assert.equal(found.value, null);
    await raw.assertLives();
  });
});

test("a date that goes through the socket arrives as on HTTP", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  const sessionToken = crypto.randomUUID();
  const expires = new Date(Date.now() + 60_000);
  const session = { sessionToken, userId: visitor.userId, expires: expires.toISOString() };
  const made = await raw.call("Mutation", "authAdapter:createSession", { session, secret: proxy.secret });
  assert.equal(made.success, true, made.result);
  const read = await convexAdapter({ url: proxy.adapterUrl }).getSessionAndUser(sessionToken);
  assert.deepEqual(read.session.expires, expires);
});

test("what is no upgrade is told to become one", async () => {
  for (const version of ["1.48.0", ""]) {
    const target = syncUrl(proxy.publicUrl, version).replace(/^ws/, "http");
    const answered = await send(target);
    assertRefused(answered, 426, "UpgradeRequired");
    assert.match(answered.headers.upgrade, /websocket/i);
  }
  const old = await upgrade(proxy.publicUrl, { headers: { "sec-websocket-version": "8" } });
  assert.ok([400, 426].includes(old.status), `${old.status}`);
  assert.equal(old.headers["sec-websocket-version"], "13");
  assert.equal((await upgrade(proxy.publicUrl, { headers: { "sec-websocket-key": undefined } })).status, 400);
});
