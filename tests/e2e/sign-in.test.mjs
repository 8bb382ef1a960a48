// The life of a database session, driven by Auth.js itself.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { decodeJwt } from "jose";

import { convexAdapter, postTo, thinAdapter } from "./lib/adapter.mjs";
import { Browser, magicLinkApp } from "./lib/browser.mjs";
import { assertRefused, call, valueOf } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { APP_ORIGIN, SESSION_COOKIE, freshEmail, tokenByCookie } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

const WAYS = {
  "through the public listener": () => convexAdapter({ url: proxy.publicUrl, secret: proxy.secret }),
  "through the adapter listener": () => convexAdapter({ url: proxy.adapterUrl }),
  "with Auth.js's own wire": () => ({ ...convexAdapter({ url: proxy.adapterUrl }), ...thinAdapter(postTo(proxy.adapterUrl)) }),
};
const DAY_MS = 24 * 60 * 60 * 1_000;
const whoami = (headers) => valueOf(proxy.publicUrl, "query", "demo:whoami", {}, headers);

for (const [way, make] of Object.entries(WAYS)) {
  test(`a visitor asks for a link, follows it, stays, and signs out, ${way}`, async () => {
    const app = magicLinkApp(make());
    const browser = new Browser(app);
    const email = freshEmail();
    assert.equal((await browser.session()).json, null);

    const { asked, mail, clicked } = await browser.signIn(email);
    assert.equal(asked.status, 302);
    assert.match(asked.location, /verify-request/);
    assert.equal(mail.to, email);
    assert.equal(clicked.status, 302);
    assert.equal(new URL(clicked.location).origin, APP_ORIGIN);
    assert.ok(!/error/.test(clicked.location), clicked.location);
    const sessionToken = browser.cookies.get(SESSION_COOKIE);
    assert.ok(sessionToken);
    assert.deepEqual(app.events.map(({ name }) => name), ["createUser", "signIn"]);
    const { user } = app.events[0];
    assert.equal(user.email, email);
    assert.ok(user.emailVerified instanceof Date);

    const session = (await browser.session()).json;
    assert.equal(session.user.email, email);
    assert.ok(Date.parse(session.expires) > Date.now() + 29 * DAY_MS);
    assert.deepEqual((await make().getUserByEmail(email)).id, user.id);

    const identity = await whoami({ cookie: browser.cookieHeader, origin: APP_ORIGIN });
    assert.equal(identity.subject, user.id, "the browser's own cookies say who it is to Convex");
    const { json } = await tokenByCookie(proxy, browser.cookieHeader, { headers: { origin: APP_ORIGIN } });
    assert.equal(decodeJwt(json.token).sub, user.id);

    const forwarded = browser.cookieHeader;
    const left = await browser.signOut();
    assert.equal(left.status, 302);
    assert.equal(browser.cookies.get(SESSION_COOKIE), undefined);
    assert.equal(await make().getSessionAndUser(sessionToken), null, "the very next read");
    assert.equal(await whoami({ cookie: forwarded }), null);
    assertRefused(await tokenByCookie(proxy, forwarded), 401, "NoSession");
    const late = await call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${json.token}` });
    assertRefused(late, 401, "SessionEnded");
    assert.equal((await browser.session()).json, null);
    assert.deepEqual(app.errors, []);
  });

  test(`a known visitor's second link updates the user, ${way}`, async () => {
    const app = magicLinkApp(make());
    const browser = new Browser(app);
    const email = freshEmail();
    await browser.signIn(email);
    const { user } = app.events[0];
    const first = browser.cookies.get(SESSION_COOKIE);
    app.events.splice(0);
    const { clicked } = await browser.signIn(email);
    assert.ok(!/error/.test(clicked.location), clicked.location);
    const updated = app.events.find(({ name }) => name === "updateUser");
    assert.equal(updated.user.id, user.id);
    assert.equal(updated.user.email, email, "the whole stored user");
    assert.ok(updated.user.emailVerified >= user.emailVerified);
    assert.notEqual(browser.cookies.get(SESSION_COOKIE), first);
    assert.equal((await browser.session()).json.user.email, email);
    assert.deepEqual(app.errors, []);
  });
}

test("a link works once", async () => {
  const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }));
  const { mail } = await new Browser(app).signIn(freshEmail());
  const thief = new Browser(app);
  const { location } = await thief.visit(mail.link);
  assert.match(location, /error=Verification/);
  assert.equal(thief.cookies.get(SESSION_COOKIE), undefined);
});

test("a session that is old enough is prolonged, and the next read sees it", async () => {
  const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }), {
    session: { strategy: "database", maxAge: 60 * 60, updateAge: 0 },
  });
  const browser = new Browser(app);
  await browser.signIn(freshEmail());
  const sessionToken = browser.cookies.get(SESSION_COOKIE);
  const adapter = convexAdapter({ url: proxy.adapterUrl });
  const before = (await adapter.getSessionAndUser(sessionToken)).session.expires;
  await adapter.updateSession({ sessionToken, expires: new Date(before.getTime() - 60_000) });
  await browser.session();
  const after = (await adapter.getSessionAndUser(sessionToken)).session.expires;
  assert.ok(after >= before, `${after} is not later than ${before}`);
});

test("a session that has expired is ended by Auth.js and the cookie is cleared", async () => {
  const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }));
  const browser = new Browser(app);
  await browser.signIn(freshEmail());
  const sessionToken = browser.cookies.get(SESSION_COOKIE);
  const adapter = convexAdapter({ url: proxy.adapterUrl });
  await adapter.updateSession({ sessionToken, expires: new Date(Date.now() - 1_000) });
  assert.equal(await whoami({ cookie: browser.cookieHeader }), null);
  assert.equal((await browser.session()).json, null);
  assert.equal(browser.cookies.get(SESSION_COOKIE), undefined);
  assert.equal(await adapter.getSessionAndUser(sessionToken), null);
});

test("a burst of session reads by pages costs the deployment next to nothing", async () => {
  const app = magicLinkApp(convexAdapter({ url: proxy.adapterUrl }));
  const browser = new Browser(app);
  await browser.signIn(freshEmail());
  const before = await proxy.metrics();
  const sessions = await Promise.all(Array.from({ length: 10 }, () => browser.session()));
  for (const { json } of sessions) assert.ok(json.user);
  const now = await proxy.metrics();
  const misses = 'convex_auth_proxy_session_reads_total{result="miss"}';
  assert.ok(now(misses) - before(misses) <= 1);
});
