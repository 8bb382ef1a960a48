// A deployment that is down, stalls or talks nonsense: always an error that says so, never a `null`.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";

import { convexAdapter, postTo, thinAdapter } from "./lib/adapter.mjs";
import { Browser, magicLinkApp } from "./lib/browser.mjs";
import { assertRefused, call, refusalOf, send } from "./lib/http.mjs";
import { keyPair, serveEnvironment } from "./lib/keys.mjs";
import { freePorts, startDev, startServe } from "./lib/proxy.mjs";
import { SESSION_COOKIE, freshEmail, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";
import { babblingUpstream, stallingUpstream } from "./lib/upstream.mjs";

const pair = keyPair();
const [deadPort] = await freePorts(1);
const dead = await startServe(serveEnvironment(`http://127.0.0.1:${deadPort}`, pair), { isReady: false });
after(() => dead.stop());

const cookie = `${SESSION_COOKIE}=of-somebody`;

/** Everything that needs the deployment, on a proxy whose deployment does not answer. */
function everyCall(proxy) {
  const { publicUrl, adapterUrl } = proxy;
  return {
    query: () => call(publicUrl, "query", "demo:whoami"),
    mutation: () => call(publicUrl, "mutation", "demo:send", { body: "x" }),
    action: () => call(publicUrl, "action", "demo:ping"),
    timestamp: () => send(`${publicUrl}/api/query_ts`, { method: "POST", headers: { "content-type": "application/json" } }),
    batch: () => send(`${publicUrl}/api/query_batch`, { body: { queries: [{ path: "demo:whoami", args: {} }] } }),
    "query with a cookie": () => call(publicUrl, "query", "demo:whoami", {}, { cookie }),
    "token by cookie": () => tokenByCookie(proxy, cookie),
    "token for a session": () => tokenFor(proxy, { sessionToken: "of-somebody" }),
    "session read": () => call(adapterUrl, "query", "authAdapter:getSessionAndUser", { sessionToken: "of-somebody" }),
    "session read by Auth.js's wire": () => send(`${adapterUrl}/adapter/getSessionAndUser`, { body: { sessionToken: "of-somebody" } }),
    "sign-out by Auth.js's wire": () => send(`${adapterUrl}/adapter/deleteSession`, { body: { sessionToken: "of-somebody" } }),
  };
}

test("a deployment that cannot be reached is 502 on every route that needs it", async () => {
  for (const [what, ask] of Object.entries(everyCall(dead))) {
    const answered = await ask();
    assert.equal(answered.status, 502, `${what}: ${answered.text}`);
    assertRefused(answered, 502, "UpstreamUnreachable");
  }
});

test("what needs no deployment is served while it is down", async () => {
  assert.equal((await send(`${dead.publicUrl}/.well-known/jwks.json`)).status, 200);
  assert.equal((await send(`${dead.adminUrl}/livez`)).status, 200);
  assert.equal((await tokenFor(dead, { userId: "users|1" })).status, 200);
  const ready = await send(`${dead.adminUrl}/readyz`);
  assert.equal(ready.status, 503, "it has never answered");
  assertRefused(await call(dead.publicUrl, "query", "authAdapter:getUser", {}), 403, "AdapterForbidden");
});

test("the published clients throw, and show the refusal", async () => {
  const client = new ConvexHttpClient(dead.publicUrl);
  assert.equal((await refusalOf(client.query(anyApi.demo.whoami))).code, "UpstreamUnreachable");
  await assert.rejects(convexAdapter({ url: dead.adapterUrl }).getSessionAndUser("x"), /UpstreamUnreachable/);
  await assert.rejects(thinAdapter(postTo(dead.adapterUrl)).getSessionAndUser("x"), /UpstreamUnreachable/);
});

for (const [way, make] of Object.entries({
  "the published client": (url) => convexAdapter({ url }),
  "Auth.js's own wire": (url) => ({ ...convexAdapter({ url }), ...thinAdapter(postTo(url)) }),
})) {
  test(`an app that reads sessions by ${way} keeps the visitor's cookie through an outage`, async () => {
    let url = undefined;
    const adapter = new Proxy({}, { get: (_, name) => (...args) => make(url)[name](...args), has: () => true });
    const methods = Object.fromEntries(Object.keys(make("http://unused.example")).map((name) => [name, adapter[name]]));
    const app = magicLinkApp(methods);
    const browser = new Browser(app);
    const up = await startDev();
    url = up.adapterUrl;
    await browser.signIn(freshEmail());
    const sessionToken = browser.cookies.get(SESSION_COOKIE);
    assert.ok(sessionToken);

    url = dead.adapterUrl;
    const during = await browser.session();
    assert.equal(during.status, 200);
    assert.deepEqual(during.setCookies.filter((line) => line.startsWith(SESSION_COOKIE)), [], "the cookie is left as it is");
    assert.equal(browser.cookies.get(SESSION_COOKIE), sessionToken);
    assert.equal(app.errors.at(-1).name, "SessionTokenError");

    url = up.adapterUrl;
    assert.ok((await browser.session()).json.user, "and it heals");
    await up.stop();
  });
}

test("a deployment that goes away after the start fails calls and takes no session for ended", async () => {
  const deployment = await startDev({ CONVEX_AUTH_PRIVATE_KEY: pair.pem, JWKS: pair.jwks, CONVEX_AUTH_ADAPTER_SECRET: "one secret" });
  const proxy = await startServe({
    ...serveEnvironment(deployment.deploymentUrl, pair),
    CONVEX_AUTH_ADAPTER_SECRET: "one secret",
    CONVEX_AUTH_PROXY__TOKEN__ISSUER: `http://127.0.0.1:${deployment.ports.public}`,
    CONVEX_AUTH_PROXY__CACHE__TTL: "0s",
  });
  const visitor = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, visitor.cookie);
  const authorization = `Bearer ${json.token}`;
  assert.equal((await call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization })).json.value.subject, visitor.userId);
  await deployment.stop();
  for (const headers of [{ authorization }, { cookie: visitor.cookie }]) {
    assertRefused(await call(proxy.publicUrl, "query", "demo:whoami", {}, headers), 502, "UpstreamUnreachable");
  }
  assertRefused(await tokenByCookie(proxy, visitor.cookie), 502, "UpstreamUnreachable");
  assertRefused(await call(proxy.adapterUrl, "mutation", "authAdapter:deleteSession", { sessionToken: visitor.sessionToken }), 502, "UpstreamUnreachable");
  assert.equal((await send(`${proxy.adminUrl}/readyz`)).status, 200, "an outage takes no replica out of service");
  await proxy.stop();
});

test("a deployment that does not answer in time is 504", async () => {
  const upstream = await stallingUpstream();
  const proxy = await startServe(
    {
      ...serveEnvironment(upstream.url, pair),
      CONVEX_AUTH_PROXY__TIMEOUTS__UPSTREAM: "300ms",
      CONVEX_AUTH_PROXY__TIMEOUTS__SESSION_READ: "200ms",
    },
    { isReady: false },
  );
  for (const [what, ask] of Object.entries(everyCall(proxy))) {
    const answered = await ask();
    assert.equal(answered.status, 504, `${what}: ${answered.text}`);
    assertRefused(answered, 504, "UpstreamTimeout");
  }
  const writes = upstream.requests.filter(({ target }) => target === "/api/mutation" || target === "/api/action");
  assert.equal(writes.length, 3, "no write was sent twice");
  await proxy.stop();
  upstream.close();
});

test("an answer that is not Convex's is never taken for a session", async () => {
  const answers = [
    [200, "text/html", "<h1>It works</h1>"],
    [200, "application/json", "null"],
    [200, "application/json", "{}"],
    [200, "application/json", '{"status":"success"}'],
    [200, "application/json", '{"status":"success","value":{"session":{},"user":{}}}'],
    [200, "application/json", '{"status":"success","value":'],
    [200, "application/json", '{"status":"error","errorMessage":"Server Error"}'],
    [500, "application/json", '{"code":"InternalServerError","message":"x"}'],
    [503, "text/plain", "try later"],
    [404, "application/json", "null"],
    [204, "application/json", ""],
  ];
  for (const [status, type, text] of answers) {
    const upstream = await babblingUpstream(status, type, text);
    const proxy = await startServe(serveEnvironment(upstream.url, pair), { isReady: false });
    const asked = everyCall(proxy);
    for (const what of ["query with a cookie", "token by cookie", "token for a session", "session read by Auth.js's wire"]) {
      const answered = await asked[what]();
      assert.ok([502, 503, 504].includes(answered.status), `${what}, ${status} ${text}: ${answered.status} ${answered.text}`);
      assert.deepEqual(Object.keys(answered.json), ["code", "message"]);
    }
    await assert.rejects(convexAdapter({ url: proxy.adapterUrl }).getSessionAndUser("x"), undefined, `${status} ${text}`);
    await proxy.stop();
    upstream.close();
  }
});

test("more requests than may be under way are told when to come back", async () => {
  const upstream = await stallingUpstream();
  const proxy = await startServe(
    { ...serveEnvironment(upstream.url, pair), CONVEX_AUTH_PROXY__LIMITS__REQUESTS_IN_FLIGHT: "2" },
    { isReady: false },
  );
  const asked = Array.from({ length: 5 }, () => call(proxy.publicUrl, "query", "demo:whoami"));
  const [first, second, third] = await Promise.all(race(asked, 3));
  for (const refused of [first, second, third]) {
    assertRefused(refused, 503, "TooManyRequestsInFlight");
    assert.ok(Number(refused.headers["retry-after"]) > 0);
  }
  assert.equal((await send(`${proxy.adminUrl}/livez`)).status, 200);
  upstream.release();
  const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, 200, 503, 503, 503]);
  await proxy.stop();
  upstream.close();
});

/** Promises of the first `count` to settle, in that order. */
function race(promises, count) {
  const settled = [];
  const first = Array.from({ length: count }, () => new Promise((resolve) => settled.push(resolve)));
  let next = 0;
  promises.forEach((promise) => promise.then((value) => settled[next++]?.(value)));
  return first;
}
