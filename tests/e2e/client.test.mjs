// The published Convex clients through the proxy, with each way of saying who one is.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { ConvexHttpClient } from "convex/browser";
import { fetchAction, fetchMutation, fetchQuery } from "convex/nextjs";
import { anyApi, makeFunctionReference } from "convex/server";

import { call, refusalOf, send, valueOf } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { APP_ORIGIN, SESSION_COOKIE, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

const { demo, authAdapter } = anyApi;
const whoami = (headers) => valueOf(proxy.publicUrl, "query", "demo:whoami", {}, headers);

test("an anonymous client runs queries, mutations and actions", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  assert.equal(await client.query(demo.whoami), null);
  await client.mutation(demo.send, { body: "nobody was here" });
  assert.equal(await client.action(demo.ping), "pong");
  const messages = await client.query(demo.list);
  assert.ok(messages.some(({ author, body }) => author === "anonymous" && body === "nobody was here"));
});

test("a consistent query is answered at the deployment's own timestamp", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  assert.equal(await client.consistentQuery(demo.whoami), null);
  assert.ok(Array.isArray(await client.consistentQuery(demo.list)));
  const { json } = await send(`${proxy.publicUrl}/api/query_ts`, { method: "POST", headers: { "content-type": "application/json" } });
  assert.equal(Buffer.from(json.ts, "base64").length, 8);
});

test("a batch of queries is answered item by item", async () => {
  const { cookie, userId } = await signedIn(proxy);
  const query = (path) => ({ path, args: {}, format: "json" });
  const { json } = await send(`${proxy.publicUrl}/api/query_batch`, {
    body: { queries: [query("demo:whoami"), query("demo:nothing"), query("demo:list")] },
    headers: { cookie },
  });
  assert.equal(json.results[0].value.subject, userId);
  assert.equal(json.results[1].status, "error");
  assert.equal(json.results[2].status, "success");
});

test("an error of a function reaches the client as the client shows it", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  await assert.rejects(client.query(demo.nothing), /Could not find public function for 'demo:nothing'/);
  await assert.rejects(client.mutation(demo.send, { body: 7 }), /ArgumentValidationError/);
});

test("fetchQuery, fetchMutation and fetchAction of convex/nextjs take the proxy for the deployment", async () => {
  const url = proxy.publicUrl;
  assert.equal(await fetchQuery(demo.whoami, {}, { url }), null);
  assert.equal(typeof (await fetchMutation(demo.send, { body: "from a server" }, { url })), "string");
  assert.equal(await fetchAction(demo.ping, {}, { url }), "pong");
});

test("a token for a session that the app's server names makes its user the subject", async () => {
  const { userId, sessionToken } = await signedIn(proxy);
  const { json } = await tokenFor(proxy, { sessionToken });
  const client = new ConvexHttpClient(proxy.publicUrl);
  client.setAuth(json.token);
  const identity = await client.query(demo.whoami);
  assert.equal(identity.subject, userId);
  assert.equal(identity.issuer, `http://127.0.0.1:${proxy.ports.public}`);
  client.clearAuth();
  assert.equal(await client.query(demo.whoami), null);
});

test("a token for a user whom the app's server names makes that user the subject", async () => {
  const { userId } = await signedIn(proxy);
  const { json } = await tokenFor(proxy, { userId });
  assert.equal((await fetchQuery(demo.whoami, {}, { url: proxy.publicUrl, token: json.token })).subject, userId);
});

test("a token by the cookie serves setAuth as well", async () => {
  const { userId, cookie } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  const client = new ConvexHttpClient(proxy.publicUrl, { auth: json.token });
  assert.equal((await client.query(demo.whoami)).subject, userId);
});

test("a client that sends its cookies needs no token", async () => {
  const { userId, cookie } = await signedIn(proxy, { name: "Katherine Johnson" });
  const withCookie = (url, options) => fetch(url, { ...options, headers: { ...options.headers, cookie } });
  const client = new ConvexHttpClient(proxy.publicUrl, { fetch: withCookie });
  assert.equal((await client.query(demo.whoami)).subject, userId);
  assert.equal((await client.consistentQuery(demo.whoami)).subject, userId);
  await client.mutation(demo.send, { body: "signed" });
  assert.equal(await client.action(demo.ping), "pong");
});

test("a page that is listed is who its cookie says", async () => {
  const { userId, cookie } = await signedIn(proxy);
  const identity = await whoami({ cookie, origin: APP_ORIGIN, "sec-fetch-site": "same-site" });
  assert.equal(identity.subject, userId);
});

test("a client's own token wins over its cookie", async () => {
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  const { json } = await tokenFor(proxy, { sessionToken: ada.sessionToken });
  const identity = await whoami({ cookie: grace.cookie, authorization: `Bearer ${json.token}` });
  assert.equal(identity.subject, ada.userId);
});

test("a cookie in chunks is joined in the order of their numbers", async () => {
  const sessionToken = Array.from({ length: 12 }, (_, index) => `${index}`.padEnd(400, "abcdefghij")).join("");
  const { userId } = await signedIn(proxy, { sessionToken });
  const size = Math.ceil(sessionToken.length / 12);
  const chunks = Array.from({ length: 12 }, (_, index) => ({
    index,
    pair: `${SESSION_COOKIE}.${index}=${sessionToken.slice(index * size, (index + 1) * size)}`,
  }));
  const inOrder = chunks.map(({ pair }) => pair).join("; ");
  assert.equal((await whoami({ cookie: inOrder })).subject, userId);
  const byText = chunks.toSorted((one, other) => `${one.index}`.localeCompare(`${other.index}`));
  assert.equal((await whoami({ cookie: byText.map(({ pair }) => pair).join("; ") })).subject, userId);
  assert.equal(await whoami({ cookie: chunks.slice(1).map(({ pair }) => pair).join("; ") }), null);
});

test("of two cookies of one name the first counts, and of two names the first configured", async () => {
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  assert.equal((await whoami({ cookie: `${ada.cookie}; ${grace.cookie}` })).subject, ada.userId);
  const secure = `__Secure-${SESSION_COOKIE}=${grace.sessionToken}`;
  assert.equal((await whoami({ cookie: `${ada.cookie}; ${secure}` })).subject, grace.userId);
  assert.equal((await whoami({ cookie: `next-auth.session-token=${ada.sessionToken}` })).subject, ada.userId);
});

test("a cookie of no session, of an ended one or of another name is nobody", async () => {
  const ended = await signedIn(proxy, { livesMs: -1_000 });
  for (const cookie of [`${SESSION_COOKIE}=unknown`, ended.cookie, "session=1", `${SESSION_COOKIE}=`, ""]) {
    assert.equal(await whoami({ cookie }), null, cookie);
  }
});

test("the guide's calls work on the public listener with the secret and are refused without", async () => {
  const { sessionToken, userId } = await signedIn(proxy);
  const url = proxy.publicUrl;
  const found = await fetchQuery(authAdapter.getSessionAndUser, { sessionToken, secret: proxy.secret }, { url });
  assert.equal(found.user._id, userId);
  const refusal = await refusalOf(fetchQuery(authAdapter.getSessionAndUser, { sessionToken }, { url }));
  assert.equal(refusal.code, "AdapterForbidden");
});

test("an admin's client is turned away", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  client.setAdminAuth("prod:happy-otter-123|abc");
  assert.equal((await refusalOf(client.query(demo.whoami))).code, "AdminCredentialRefused");
});

test("values pass as they are, in both directions", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  const body = "  \"quotes\" \\ / \u0000 \u2028 é 💡 \uFFFD ";
  const id = await client.mutation(demo.send, { body });
  const sent = (await client.query(demo.list)).find(({ _id }) => _id === id);
  assert.equal(sent.body, body);
});

test("a foreign token goes to the deployment, which does not know it", async () => {
  const foreign = `${base64url({ alg: "RS256", typ: "JWT" })}.${base64url({ iss: "https://issuer.example", aud: "convex", sub: "x", exp: 4e9, iat: 1 })}.AAAA`;
  const answered = await call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${foreign}` });
  assert.equal(answered.status, 401);
  assert.equal(answered.json.code, "NoAuthProvider");
});

test("every spelling of a public function reaches it", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  for (const spelling of ["demo:whoami", "demo.js:whoami", "demo/:whoami", "demo//.:whoami", "demo.js/.:whoami"]) {
    assert.equal(await client.query(makeFunctionReference(spelling)), null, spelling);
  }
});

function base64url(claims) {
  return Buffer.from(JSON.stringify(claims)).toString("base64url");
}
