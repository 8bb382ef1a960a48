// A session that ends takes its open sockets with it: by a cookie in place, by a token so that the client asks for another.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { convexAdapter } from "./lib/adapter.mjs";
import { Browser, magicLinkApp } from "./lib/browser.mjs";
import { CLIENTS, connect } from "./lib/clients.mjs";
import { send } from "./lib/http.mjs";
import { startDev, waitFor } from "./lib/proxy.mjs";
import { openConnected } from "./lib/raw.mjs";
import { APP_ORIGIN, freshEmail, pageTokens, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

/** From the proxy's knowing to the client's. */
const CUT_WITHIN_MS = 1_000;

/** Sign-out as Auth.js does it; when it was answered. */
async function signOut(to, { sessionToken }) {
  const answered = await send(`${to.adapterUrl}/adapter/deleteSession`, { body: { sessionToken } });
  assert.equal(answered.status, 200, answered.text);
  return performance.now();
}

/** A raw socket with a live `demo:whoami`, which says who by the first result. */
async function asking(t, to, { headers, token } = {}) {
  const raw = await openConnected(t, to.publicUrl, { headers });
  if (token !== undefined) raw.authenticate(token);
  const queryId = raw.add("demo:whoami");
  const first = await raw.result(queryId);
  return { raw, queryId, subject: first.value?.subject ?? null };
}

const byCookie = (t, { cookie }, to = proxy) => asking(t, to, { headers: { cookie, origin: APP_ORIGIN } });
const byToken = async (t, { sessionToken }, to = proxy) => asking(t, to, { token: (await tokenFor(to, { sessionToken })).json.token });

/** Asserts that the next word about the query is that nobody asks, soon after `since`, on the same socket. */
async function assertTurnsAnonymous({ raw, queryId }, since) {
  const next = await raw.result(queryId);
  assert.equal(next.value, null);
  assert.ok(next.at - since <= CUT_WITHIN_MS, `${Math.round(next.at - since)} ms`);
  assert.equal(raw.socket.version.identity, 0);
  assert.equal(raw.socket.end, undefined);
  assert.deepEqual(raw.socket.gaps, []);
}

/** Asserts that a socket by a token is told and closed soon after `since`. */
async function assertCut({ raw }, since) {
  const told = await raw.next("an AuthError", ({ type }) => type === "AuthError");
  assert.ok(told.at - since <= CUT_WITHIN_MS, `${Math.round(told.at - since)} ms`);
  assert.equal(told.authUpdateAttempted, false);
  assert.equal(told.baseVersion, raw.socket.version.identity);
  assert.equal(typeof told.error, "string");
  await raw.closed();
}

for (const name of CLIENTS) {
  test(`${name} with a cookie turns anonymous in place when its session is deleted`, async (t) => {
    const visitor = await signedIn(proxy);
    const client = connect(t, proxy.publicUrl, { name, headers: { cookie: visitor.cookie, origin: APP_ORIGIN } });
    const [whoami, list] = [client.watch("demo:whoami"), client.watch("demo:list")];
    assert.equal((await whoami.settled()).subject, visitor.userId);
    await list.settled();
    await signOut(proxy, visitor);
    await whoami.until((identity) => identity === null);
    const id = await client.mutation("demo:send", { body: `after the sign-out of ${name}` });
    const sent = (await list.until((messages) => messages.some(({ _id }) => _id === id))).find(({ _id }) => _id === id);
    assert.equal(sent.author, "anonymous");
    assert.equal(client.sockets.length, 1, "without a new socket");
    assert.equal(client.socket.version.identity, 0);
  });

  test(`${name} with a token is logged out when its session is deleted`, async (t) => {
    const visitor = await signedIn(proxy);
    const client = connect(t, proxy.publicUrl, { name });
    const whoami = client.watch("demo:whoami");
    client.setAuth(pageTokens(proxy, visitor.cookie));
    await whoami.until((identity) => identity?.subject === visitor.userId);
    await waitFor("both tokens are confirmed", () => client.socket.version.identity === 2);
    const [socket, asked] = [client.socket, client.demands.length];
    await signOut(proxy, visitor);
    await waitFor("it is told that it is logged out", () => client.authChanges.includes(false));
    assert.deepEqual(client.demands.slice(asked), [true], "it asked for another token, once");
    assert.deepEqual(
      socket.of("AuthError").map(({ authUpdateAttempted }) => authUpdateAttempted),
      [false],
    );
    await whoami.until((identity) => identity === null);
    assert.equal(await client.action("demo:ping"), "pong");
    assert.equal(client.sockets.length, 2);
  });
}

test("every socket of a session is cut within a second of its deletion, and no other", async (t) => {
  const [visitor, bystander] = [await signedIn(proxy), await signedIn(proxy)];
  const other = await signedIn(proxy);
  const ofUser = await asking(t, proxy, { token: (await tokenFor(proxy, { userId: visitor.userId })).json.token });
  const cookies = [await byCookie(t, visitor), await byCookie(t, visitor), await byCookie(t, visitor)];
  const tokens = [await byToken(t, visitor), await byToken(t, visitor)];
  for (const { subject } of [...cookies, ...tokens, ofUser]) assert.equal(subject, visitor.userId);
  const others = [await byCookie(t, bystander), await byToken(t, bystander), await byCookie(t, other)];
  const since = await signOut(proxy, visitor);
  for (const socket of cookies) await assertTurnsAnonymous(socket, since);
  for (const socket of tokens) await assertCut(socket, since);
  for (const { raw } of [...others, ofUser]) {
    // A call of its own is the proof that nothing came before it.
    assert.equal((await raw.call("Action", "demo:ping")).result, "pong");
    assert.equal(raw.socket.of("AuthError").length, 0);
  }
  for (const { raw, subject } of [...others, ofUser]) {
    const again = await raw.result(raw.add("demo:whoami", {}));
    assert.equal(again.value.subject, subject);
  }
});

test("deleting a user cuts the sockets of all the user's sessions", async (t) => {
  const visitor = await signedIn(proxy);
  const second = { ...visitor, sessionToken: crypto.randomUUID() };
  second.cookie = visitor.cookie.replace(visitor.sessionToken, second.sessionToken);
  await visitor.adapter.createSession({ sessionToken: second.sessionToken, userId: visitor.userId, expires: visitor.expires });
  const sockets = [await byCookie(t, visitor), await byCookie(t, second)];
  const token = await byToken(t, second);
  await visitor.adapter.deleteUser(visitor.userId);
  const since = performance.now();
  for (const socket of sockets) await assertTurnsAnonymous(socket, since);
  await assertCut(token, since);
});

test("a sign-out that goes through a sync socket cuts as well", async (t) => {
  const visitor = await signedIn(proxy);
  const socket = await byCookie(t, visitor);
  const guide = connect(t, proxy.publicUrl);
  await guide.mutation("authAdapter:deleteSession", { sessionToken: visitor.sessionToken, secret: proxy.secret });
  await assertTurnsAnonymous(socket, performance.now());
});

test("a token of a session that has ended is refused as the client's own, and the client is logged out", async (t) => {
  const visitor = await signedIn(proxy);
  const { token } = (await tokenFor(proxy, { sessionToken: visitor.sessionToken })).json;
  await signOut(proxy, visitor);
  const raw = await openConnected(t, proxy.publicUrl);
  raw.authenticate(token);
  raw.add("demo:whoami");
  const told = await raw.next("an AuthError", ({ type }) => type === "AuthError");
  assert.equal(told.authUpdateAttempted, true);
  assert.equal(told.baseVersion, 0);
  await raw.closed();
  const client = connect(t, proxy.publicUrl);
  const whoami = client.watch("demo:whoami");
  client.setAuth(async () => token);
  await waitFor("it gives up", () => client.authChanges.includes(false));
  await whoami.until((identity) => identity === null);
  assert.equal(client.authChanges.includes(true), false);
});

test("a cookie of a session that was ended before the upgrade is nobody", async (t) => {
  const visitor = await signedIn(proxy);
  assert.equal((await tokenByCookie(proxy, visitor.cookie)).status, 200);
  await signOut(proxy, visitor);
  assert.equal((await byCookie(t, visitor)).subject, null);
});

test("a client's own token outlives the cookie that it came with, and ends with its own session", async (t) => {
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  const socket = await byCookie(t, grace);
  socket.raw.authenticate((await tokenFor(proxy, { sessionToken: ada.sessionToken })).json.token);
  assert.equal((await socket.raw.result(socket.queryId)).value.subject, ada.userId);
  await signOut(proxy, grace);
  const bystander = await byCookie(t, grace);
  assert.equal(bystander.subject, null);
  assert.equal((await socket.raw.result(socket.raw.add("demo:whoami", {}))).value.subject, ada.userId);
  await assertCut(socket, await signOut(proxy, ada));
});

test("signing out in the app turns its open page anonymous", async (t) => {
  const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }));
  const browser = new Browser(app);
  await browser.signIn(freshEmail());
  const socket = await byCookie(t, { cookie: browser.cookieHeader });
  assert.equal(socket.subject, app.events[0].user.id);
  await browser.signOut();
  await assertTurnsAnonymous(socket, performance.now());
});

test("a client that cleared its token on a cookie's socket stays anonymous when the session ends", async (t) => {
  const visitor = await signedIn(proxy);
  const socket = await byCookie(t, visitor);
  socket.raw.authenticate();
  assert.equal((await socket.raw.result(socket.queryId)).value, null);
  await signOut(proxy, visitor);
  assert.equal((await socket.raw.result(socket.raw.add("demo:whoami"))).value, null);
  assert.equal(socket.raw.socket.end, undefined);
});

describe("a session that expires", { concurrency: true }, () => {
  const LIVES_MS = 4_000;

  test("takes its cookie's socket and its token's socket with it", async (t) => {
    const visitor = await signedIn(proxy, { livesMs: LIVES_MS });
    const [cookie, token] = [await byCookie(t, visitor), await byToken(t, visitor)];
    for (const { subject } of [cookie, token]) assert.equal(subject, visitor.userId);
    const turned = await cookie.raw.result(cookie.queryId);
    assert.equal(turned.value, null);
    const late = turned.wall - visitor.expires.getTime();
    // A token ends with a whole second, and is taken back before it does: the deployment would end the socket for it.
    assert.ok(late >= -2_000 && late <= 1_000, `${late} ms after its end`);
    assert.equal(cookie.raw.socket.end, undefined);
    const told = await token.raw.next("an AuthError", ({ type }) => type === "AuthError");
    assert.equal(told.authUpdateAttempted, false);
    await token.raw.closed();
  });

  for (const [who, adapterOf] of [
    ["the app", () => convexAdapter({ url: proxy.adapterUrl })],
    ["another writer, around the proxy", () => convexAdapter({ url: proxy.deploymentUrl, secret: proxy.secret })],
  ]) {
    test(`lives on when ${who} prolonged it`, async (t) => {
      const [visitor, sibling] = [await signedIn(proxy, { livesMs: LIVES_MS }), await signedIn(proxy, { livesMs: LIVES_MS + 500 })];
      const [prolonged, clock] = [await byCookie(t, visitor), await byCookie(t, sibling)];
      const expires = new Date(Date.now() + 60 * 60 * 1_000);
      // The deployment itself takes dates as numbers alone.
      const outgoing = who === "the app" ? expires : expires.getTime();
      await adapterOf().updateSession({ sessionToken: visitor.sessionToken, expires: outgoing });
      assert.equal((await clock.raw.result(clock.queryId)).value, null, "one of the same age has ended by now");
      const again = await prolonged.raw.result(prolonged.raw.add("demo:whoami"));
      assert.equal(again.value.subject, visitor.userId);
      const words = prolonged.raw.socket.of("Transition").flatMap(({ modifications }) => modifications);
      assert.ok(
        words.every(({ value }) => value?.subject === visitor.userId),
        "and was nobody else in between",
      );
      assert.equal(prolonged.raw.socket.version.identity, 0);
      assert.equal((await prolonged.raw.call("Mutation", "demo:send", { body: "still signed in" })).success, true);
    });
  }
});
