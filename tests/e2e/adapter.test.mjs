// The adapter contract through the proxy: all methods, in each way of calling them, and the sessions kept in between.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import { fetchMutation, fetchQuery } from "convex/nextjs";
import { anyApi } from "convex/server";

import { convexAdapter, postTo, thinAdapter } from "./lib/adapter.mjs";
import { assertRefused, call, refusalOf, send, valueOf } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { SESSION_COOKIE, freshEmail, signedIn, tokenByCookie } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

const HOUR_MS = 60 * 60 * 1_000;
const inAnHour = () => new Date(Date.now() + HOUR_MS);
const thin = thinAdapter(postTo(proxy.adapterUrl));

const WAYS = {
  "on the public listener with the secret": () => convexAdapter({ url: proxy.publicUrl, secret: proxy.secret }),
  "on the adapter listener without it": () => convexAdapter({ url: proxy.adapterUrl }),
  "by Auth.js's own wire": () => thin,
};

for (const [way, make] of Object.entries(WAYS)) {
  test(`users are made, found, changed and deleted ${way}`, async () => {
    const adapter = make();
    const email = freshEmail();
    const verified = new Date("2026-02-28T23:59:59.999Z");
    const made = await adapter.createUser({ id: randomUUID(), email, name: "Ada", emailVerified: null, image: null });
    assert.ok(made.id);
    assert.equal(made.email, email);
    assert.equal(made.emailVerified, null);
    assert.deepEqual(await adapter.getUser(made.id), { id: made.id, email, name: "Ada", emailVerified: null });
    assert.deepEqual(await adapter.getUserByEmail(email), await adapter.getUser(made.id));
    assert.equal(await adapter.getUserByEmail(freshEmail()), null);
    const changed = await adapter.updateUser({ id: made.id, emailVerified: verified, image: "https://images.example/ada" });
    const stored = { id: made.id, email, name: "Ada", emailVerified: verified, image: "https://images.example/ada" };
    assert.deepEqual(changed, stored);
    assert.deepEqual(await adapter.getUser(made.id), stored);
    assert.deepEqual(await adapter.updateUser({ id: made.id, name: null }), stored, "a null leaves a field as it is");
    await adapter.deleteUser(made.id);
    assert.equal(await adapter.getUser(made.id), null);
    assert.equal(await adapter.getUserByEmail(email), null);
  });

  test(`sessions are made, read, prolonged and ended ${way}`, async () => {
    const adapter = make();
    const user = await adapter.createUser({ email: freshEmail(), emailVerified: new Date(0) });
    const session = { sessionToken: randomUUID(), userId: user.id, expires: inAnHour() };
    assert.equal(await adapter.getSessionAndUser(session.sessionToken), null);
    const made = await adapter.createSession(session);
    assert.equal(made.sessionToken, session.sessionToken);
    assert.deepEqual(made.expires, session.expires);
    const read = await adapter.getSessionAndUser(session.sessionToken);
    assert.deepEqual(read.session.expires, session.expires, "the read that found nothing was not kept");
    assert.equal(read.session.userId, user.id);
    assert.deepEqual(read.user.emailVerified, new Date(0));
    assert.deepEqual(Object.keys(read.session).sort(), ["expires", "id", "sessionToken", "userId"]);
    const later = new Date(session.expires.getTime() + HOUR_MS);
    await adapter.updateSession({ sessionToken: session.sessionToken, expires: later });
    assert.deepEqual((await adapter.getSessionAndUser(session.sessionToken)).session.expires, later);
    const ended = await adapter.deleteSession(session.sessionToken);
    assert.deepEqual(ended?.expires, later);
    assert.equal(await adapter.getSessionAndUser(session.sessionToken), null);
    assert.equal(await adapter.deleteSession(session.sessionToken) ?? null, null);
  });

  test(`accounts are linked, found and unlinked ${way}`, async () => {
    const adapter = make();
    const user = await adapter.createUser({ email: freshEmail(), emailVerified: null });
    const key = { provider: "otter", providerAccountId: randomUUID() };
    const account = { ...key, userId: user.id, type: "oidc", access_token: "a", expires_at: 1_800_000_000, scope: null };
    assert.equal(await adapter.getUserByAccount(key), null);
    const { id, ...linked } = await adapter.linkAccount(account);
    const { scope, ...kept } = account;
    assert.deepEqual(linked, kept, "nulls are left out, numbers of seconds stay");
    assert.equal((await adapter.getUserByAccount(key)).id, user.id);
    assert.equal((await adapter.getAccount(key.providerAccountId, key.provider)).id, id);
    assert.equal((await adapter.unlinkAccount(key)).id, id);
    assert.equal(await adapter.unlinkAccount(key), undefined);
    assert.equal(await adapter.getAccount(key.providerAccountId, key.provider), null);
  });

  test(`a verification token is used once ${way}`, async () => {
    const adapter = make();
    const token = { identifier: freshEmail(), token: randomUUID(), expires: inAnHour() };
    assert.deepEqual(await adapter.createVerificationToken(token), token);
    const uses = await Promise.all([1, 2, 3].map(() => adapter.useVerificationToken(token)));
    assert.deepEqual(uses.filter((used) => used !== null), [token]);
    assert.equal(await adapter.useVerificationToken(token), null);
  });

  test(`passkeys are kept and counted ${way}`, async () => {
    const adapter = make();
    const user = await adapter.createUser({ email: freshEmail(), emailVerified: null });
    const passkey = {
      credentialID: randomUUID(), userId: user.id, providerAccountId: "p", credentialPublicKey: "k", counter: 0,
      credentialDeviceType: "singleDevice", credentialBackedUp: false, transports: null,
    };
    assert.deepEqual(await adapter.createAuthenticator(passkey), passkey);
    assert.equal((await adapter.getAuthenticator(passkey.credentialID)).counter, 0);
    assert.equal((await adapter.updateAuthenticatorCounter(passkey.credentialID, 7)).counter, 7);
    const [listed] = await adapter.listAuthenticatorsByUserId(user.id);
    assert.equal(listed.counter, 7);
    assert.equal(await adapter.getAuthenticator(randomUUID()), null);
    await assert.rejects(adapter.updateAuthenticatorCounter(randomUUID(), 1), /not found|UpstreamRefused/i);
  });
}

test("without the proxy the deployment refuses the same calls: it is the proxy that makes them fit", async () => {
  const direct = convexAdapter({ url: proxy.deploymentUrl, secret: proxy.secret });
  await assert.rejects(direct.createUser({ email: freshEmail(), emailVerified: null }), /ArgumentValidationError/);
  await assert.rejects(direct.createUser({ email: freshEmail(), emailVerified: new Date() }), /ArgumentValidationError/);
  await assert.rejects(convexAdapter({ url: proxy.deploymentUrl }).getUserByEmail("x"), /ArgumentValidationError/);
});

test("what one listener writes the other reads at once", async () => {
  const { sessionToken, userId, cookie } = await signedIn(proxy);
  const onPublic = convexAdapter({ url: proxy.publicUrl, secret: proxy.secret });
  const name = async () => (await tokenlessIdentity(cookie)).subject;
  assert.equal(await name(), userId);
  await onPublic.updateUser({ id: userId, name: "Renamed" });
  assert.equal((await thin.getSessionAndUser(sessionToken)).user.name, "Renamed");
  await onPublic.deleteSession(sessionToken);
  assert.equal(await tokenlessIdentity(cookie), null);
  assert.equal(await thin.getSessionAndUser(sessionToken), null);
});

test("identical session reads make one call of the deployment", async () => {
  const { sessionToken, adapter } = await signedIn(proxy);
  const before = await proxy.metrics();
  const reads = await Promise.all(Array.from({ length: 24 }, () => adapter.getSessionAndUser(sessionToken)));
  for (const read of reads) assert.deepEqual(read, reads[0]);
  const now = await proxy.metrics();
  const grown = (result) => ((name) => now(name) - before(name))(`convex_auth_proxy_session_reads_total{result="${result}"}`);
  assert.equal(grown("miss"), 1);
  assert.equal(grown("hit") + grown("coalesced"), 23);
  await adapter.getSessionAndUser(sessionToken);
  const last = await proxy.metrics();
  const hits = 'convex_auth_proxy_session_reads_total{result="hit"}';
  assert.equal(last(hits) - now(hits), 1);
});

test("a cookie and a token are checked from the same memory", async () => {
  const { cookie } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  const before = await proxy.metrics();
  await tokenlessIdentity(cookie);
  await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${json.token}` });
  const misses = 'convex_auth_proxy_session_reads_total{result="miss"}';
  assert.equal((await proxy.metrics())(misses), before(misses));
});

test("a session in memory is not given to who has not the secret", async () => {
  const { sessionToken, adapter } = await signedIn(proxy);
  await adapter.getSessionAndUser(sessionToken);
  for (const secret of [undefined, "", "wrong", proxy.secret.slice(0, -1), `${proxy.secret}x`, null, 7, [proxy.secret]]) {
    assertRefused(await call(proxy.publicUrl, "query", "authAdapter:getSessionAndUser", { sessionToken, secret }), 403, "AdapterForbidden");
  }
});

test("writes of every kind are seen by the next read, however many reads are under way", async () => {
  const { sessionToken, userId, adapter } = await signedIn(proxy);
  for (let round = 0; round < 25; round += 1) {
    const reads = Array.from({ length: 4 }, () => adapter.getSessionAndUser(sessionToken));
    await adapter.updateUser({ id: userId, name: `round ${round}` });
    const read = await adapter.getSessionAndUser(sessionToken);
    assert.equal(read.user.name, `round ${round}`);
    await Promise.all(reads);
  }
});

test("the answers of Convex stay as Convex sends them, numbers and system fields included", async () => {
  const { sessionToken, expires } = await signedIn(proxy);
  const url = proxy.adapterUrl;
  const found = await fetchQuery(anyApi.authAdapter.getSessionAndUser, { sessionToken }, { url });
  assert.equal(found.session.expires, expires.getTime());
  assert.equal(typeof found.user._id, "string");
  assert.equal(typeof found.user._creationTime, "number");
  const direct = await send(`${proxy.deploymentUrl}/api/query`, {
    body: { path: "authAdapter:getSessionAndUser", args: { sessionToken, secret: proxy.secret }, format: "json" },
  });
  const through = await send(`${url}/api/query`, { body: { path: "authAdapter:getSessionAndUser", args: { sessionToken }, format: "json" } });
  assert.equal(through.text, direct.text);
});

test("numbers that an adapter of its own sends are left alone", async () => {
  const url = proxy.adapterUrl;
  const user = await thin.createUser({ email: freshEmail(), emailVerified: null });
  const sessionToken = randomUUID();
  const expires = Date.now() + HOUR_MS;
  await fetchMutation(anyApi.authAdapter.createSession, { session: { sessionToken, userId: user.id, expires } }, { url });
  assert.equal((await thin.getSessionAndUser(sessionToken)).session.expires.getTime(), expires);
});

test("the errors of Convex's own argument checks pass", async () => {
  const adapter = convexAdapter({ url: proxy.adapterUrl });
  await assert.rejects(adapter.createUser({ email: null, emailVerified: null }), /ArgumentValidationError/);
  await assert.rejects(adapter.createUser({ email: freshEmail(), role: "admin" }), /ArgumentValidationError/);
  await assert.rejects(adapter.getUser("not an id"), /ArgumentValidationError/);
});

test("the Auth.js wire says what is missing or wrong by name, and never repeats a value", async () => {
  const post = (name, body) => send(`${proxy.adapterUrl}/adapter/${name}`, { body });
  assertRefused(await post("createUser", {}), 400, "AdapterArgumentInvalid");
  assertRefused(await post("getSessionAndUser", { sessionToken: null }), 400, "AdapterArgumentInvalid");
  assertRefused(await post("createUser", []), 400, "AdapterArgumentInvalid");
  const canary = "canary-date";
  const answered = await post("createSession", { session: { sessionToken: "x", userId: "y", expires: canary } });
  assertRefused(answered, 400, "AdapterArgumentInvalid");
  assert.match(answered.json.message, /session\.expires/);
  assert.ok(!answered.text.includes(canary));
  assertRefused(await post("updateUser", { user: { id: (await goneUser()).id, name: "x" } }), 404, "UserNotFound");
  assertRefused(await post("nothing", {}), 404, "NotFound");
});

test("a session whose user is gone is none", async () => {
  const { adapter, userId, sessionToken } = await signedIn(proxy);
  await adapter.deleteUser(userId);
  assert.equal(await adapter.getSessionAndUser(sessionToken), null);
  assert.equal(await thin.getSessionAndUser(sessionToken), null);
});

test("a wrong secret on the adapter listener is refused as the client shows it", async () => {
  const adapter = convexAdapter({ url: proxy.adapterUrl, secret: "wrong" });
  assert.equal((await refusalOf(adapter.getUserByEmail(freshEmail()))).code, "AdapterForbidden");
});

test("no secret, session token, cookie or address is in the log", async () => {
  const loud = await startDev({ CONVEX_AUTH_PROXY__LOG__LEVEL: "trace", CONVEX_AUTH_PROXY__LOG__FORMAT: "json" });
  const visitor = await signedIn(loud);
  const { json } = await tokenByCookie(loud, visitor.cookie);
  await valueOf(loud.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${json.token}` });
  await convexAdapter({ url: loud.publicUrl, secret: loud.secret }).getUserByEmail(visitor.user.email);
  await call(loud.publicUrl, "query", "authAdapter:getUser", { secret: "a wrong secret" });
  const page = await send(`${loud.adminUrl}/metrics`);
  await loud.stop();
  assert.ok(loud.stderr.includes("getUserByEmail") || loud.stderr.includes("/api/query") || loud.stderr.includes("query"), "it was logged");
  const canaries = {
    secret: loud.secret, "wrong secret": "a wrong secret", "session token": visitor.sessionToken, "e-mail address": visitor.user.email,
    token: json.token, "token's signature": json.token.split(".")[2], "user's name": "Grace Hopper",
  };
  for (const [what, canary] of Object.entries(canaries)) {
    const line = loud.stderr.split("\n").find((line) => line.includes(canary));
    assert.equal(line?.replaceAll(canary, `[the ${what}]`), undefined);
    assert.ok(!page.text.includes(canary), `the ${what} is in a metric`);
  }
});

async function tokenlessIdentity(cookie) {
  assert.ok(cookie.startsWith(SESSION_COOKIE));
  return valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie });
}

async function goneUser() {
  const adapter = convexAdapter({ url: proxy.adapterUrl });
  const user = await adapter.createUser({ email: freshEmail(), emailVerified: null });
  await adapter.deleteUser(user.id);
  return user;
}
