import assert from "node:assert/strict";
import { test } from "node:test";

import { ConvexAuthProxyError, convexToken, sessionTokenFrom } from "convex-auth-proxy-adapter";

import { fakeProxy, json } from "./lib/fake-proxy.js";

test("the token of a session is asked for, forced only when told so", async (t) => {
  const proxy = await fakeProxy(t, (_, response) => json(response, 200, { token: "jwt", expiresAt: 1 }));
  const { url } = proxy;
  assert.equal(await convexToken("session", { url }), "jwt");
  assert.equal(await convexToken("session", { url, forceRefresh: true }), "jwt");
  assert.equal(await convexToken("session", { url, forceRefresh: false, token: "caller" }), "jwt");
  assert.deepEqual(proxy.received.map(({ path, body }) => [path, body]), [
    ["POST /auth/token", { sessionToken: "session" }],
    ["POST /auth/token", { sessionToken: "session", forceRefresh: true }],
    ["POST /auth/token", { sessionToken: "session" }],
  ]);
  assert.equal(proxy.received[2]!.headers.authorization, "Bearer caller");
});

test("without a session token nothing is asked", async () => {
  for (const nothing of [null, undefined, ""]) assert.equal(await convexToken(nothing, { url: "http://127.0.0.1:1" }), null);
});

test("no live session is null, and any other refusal an error", async (t) => {
  const proxy = await fakeProxy(t, (_, response) => json(response, 401, { code: "NoSession", message: "no live session" }));
  assert.equal(await convexToken("session", { url: proxy.url }), null);
  for (const [status, code] of [[401, "CallerTokenRequired"], [403, "NoSession"], [502, "UpstreamUnreachable"]] as const) {
    proxy.respond((_, response) => json(response, status, { code, message: "refused" }));
    await assert.rejects(convexToken("session", { url: proxy.url }), (error) => {
      assert.ok(error instanceof ConvexAuthProxyError);
      assert.deepEqual([error.code, error.status, error.method], [code, status, "convexToken"]);
      return true;
    });
  }
});

test("an answer without a token is unreadable", async (t) => {
  const proxy = await fakeProxy(t, (_, response) => json(response, 200, null));
  for (const answer of [null, {}, { token: null }, { token: "" }, []]) {
    proxy.respond((_, response) => json(response, 200, answer));
    await assert.rejects(convexToken("session", { url: proxy.url }), { code: "Unreadable" });
  }
});

const list = (cookies: Record<string, string>) => ({ getAll: () => Object.entries(cookies).map(([name, value]) => ({ name, value })) });

test("the session's cookie is found in a header and in a list", () => {
  assert.equal(sessionTokenFrom("a=b; authjs.session-token=t%2B1 ;c"), "t+1");
  assert.equal(sessionTokenFrom(list({ a: "b", "authjs.session-token": "t%2B1" })), "t%2B1", "a list is decoded already");
  assert.equal(sessionTokenFrom("authjs.session-token=50%"), "50%", "what cannot be decoded stays as it is");
  assert.equal(sessionTokenFrom("authjs.session-token=a=b"), "a=b");
});

test("no session cookie is null", () => {
  for (const nothing of [null, undefined, "", "a=b", "authjs.session-toke=1", "authjs.session-token=", "x-authjs.session-token=1"]) {
    assert.equal(sessionTokenFrom(nothing), null);
  }
  assert.equal(sessionTokenFrom(list({})), null);
});

test("of several names the first in the proxy's order counts, of two cookies with one name the first", () => {
  const names = ["next-auth.session-token", "__Secure-next-auth.session-token", "authjs.session-token", "__Secure-authjs.session-token"];
  for (let count = 1; count <= names.length; count++) {
    const some = names.slice(0, count);
    assert.equal(sessionTokenFrom(some.map((name) => `${name}=${name}`).join("; ")), some.at(-1));
  }
  assert.equal(sessionTokenFrom("authjs.session-token=first; authjs.session-token=second"), "first");
});

test("chunks are joined by their number", () => {
  const chunk = (number: number) => `authjs.session-token.${number}=${number};`;
  assert.equal(sessionTokenFrom([10, 2, 0, 1, 9, 3, 4, 8, 7, 6, 5].map(chunk).join(" ")), "012345678910");
});

test("an app's own cookie name can be given", () => {
  assert.equal(sessionTokenFrom("sid=1; authjs.session-token=2", ["sid"]), "1");
});
