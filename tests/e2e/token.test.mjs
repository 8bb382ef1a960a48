// Who gets a token, what is in it, and how long it is worth something.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { assertRefused, call, send, valueOf } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { APP_ORIGIN, SESSION_COOKIE, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

const issuer = `http://127.0.0.1:${proxy.ports.public}`;
const bearer = ({ token }) => ({ authorization: `Bearer ${token}` });
const whoami = (headers) => call(proxy.publicUrl, "query", "demo:whoami", {}, headers);

test("a token says who, from whom, for whom and until when", async () => {
  const { cookie, userId, expires } = await signedIn(proxy, { livesMs: 30 * 60 * 1_000 });
  const before = Math.floor(Date.now() / 1_000);
  const { json, headers, status } = await tokenByCookie(proxy, cookie);
  assert.equal(status, 200);
  assert.equal(headers["cache-control"], "no-store");
  assert.deepEqual(Object.keys(json), ["token", "expiresAt"]);
  const claims = decodeJwt(json.token);
  assert.deepEqual(Object.keys(claims).sort(), ["aud", "exp", "iat", "iss", "jti", "sub"]);
  assert.equal(claims.iss, issuer);
  assert.equal(claims.aud, "convex");
  assert.equal(claims.sub, userId);
  assert.ok(claims.iat >= before && claims.iat <= Date.now() / 1_000);
  assert.equal(claims.exp, Math.floor(expires.getTime() / 1_000), "no longer than its session");
  assert.equal(json.expiresAt, claims.exp * 1_000);
});

test("a token of a long session lives an hour", async () => {
  const { cookie } = await signedIn(proxy, { livesMs: 30 * 24 * 60 * 60 * 1_000 });
  const { iat, exp } = decodeJwt((await tokenByCookie(proxy, cookie)).json.token);
  assert.equal(exp - iat, 3_600);
});

test("a token does not show the session's own token to who reads it", async () => {
  const { cookie, sessionToken } = await signedIn(proxy);
  const { token } = (await tokenByCookie(proxy, cookie)).json;
  for (const part of token.split(".").slice(0, 2)) {
    assert.ok(!Buffer.from(part, "base64url").toString().includes(sessionToken));
  }
  const { jti } = decodeJwt(token);
  assert.ok(!Buffer.from(jti.replace(/^\w+\./, ""), "base64url").toString("latin1").includes(sessionToken));
});

test("an unforced token is the same each time, a forced one never is, even within a second", async () => {
  const { cookie, sessionToken } = await signedIn(proxy);
  const unforced = async () => (await tokenByCookie(proxy, cookie)).json.token;
  const forced = async () => (await tokenByCookie(proxy, cookie, { body: { forceRefresh: true } })).json.token;
  const first = await unforced();
  assert.equal(await unforced(), first);
  assert.equal((await tokenFor(proxy, { sessionToken })).json.token, first, "on the other listener too");
  const given = [first, await forced(), await forced(), (await tokenFor(proxy, { sessionToken, forceRefresh: true })).json.token];
  assert.equal(new Set(given).size, 4);
  for (const token of given) assert.equal((await whoami(bearer({ token }))).json.status, "success");
  assert.equal(await unforced(), await unforced());
});

test("the claims other than jti and times stay as they are when a token is forced", async () => {
  const { cookie } = await signedIn(proxy);
  const [one, other] = [
    decodeJwt((await tokenByCookie(proxy, cookie)).json.token),
    decodeJwt((await tokenByCookie(proxy, cookie, { body: { forceRefresh: true } })).json.token),
  ];
  for (const name of ["iss", "aud", "sub"]) assert.equal(one[name], other[name]);
  assert.notEqual(one.jti, other.jti);
});

test("a token of a session that was ended is refused on the next call", async () => {
  const { adapter, cookie, sessionToken } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  assert.equal((await whoami(bearer(json))).status, 200);
  await adapter.deleteSession(sessionToken);
  for (const lane of ["query", "mutation", "action"]) {
    assertRefused(await call(proxy.publicUrl, lane, "demo:whoami", {}, bearer(json)), 401, "SessionEnded");
  }
  assertRefused(await tokenByCookie(proxy, cookie), 401, "NoSession");
  assertRefused(await tokenFor(proxy, { sessionToken }), 401, "NoSession");
  assert.equal(await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie }), null);
});

test("deleting a user ends the tokens of all sessions of that user at once", async () => {
  const { adapter, cookie, userId } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  await adapter.deleteUser(userId);
  assertRefused(await whoami(bearer(json)), 401, "SessionEnded");
});

test("a token with a forged jti or signature is nobody's", async () => {
  const { cookie } = await signedIn(proxy);
  const { token } = (await tokenByCookie(proxy, cookie)).json;
  const [header, payload, signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  // Another character for certain, whichever stands there.
  const changedAt = (text, at) => `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
  const forge = (changed) => Buffer.from(JSON.stringify({ ...claims, ...changed })).toString("base64url");
  const stranger = (await tokenByCookie(proxy, (await signedIn(proxy)).cookie)).json.token;
  for (const forged of [
    `${header}.${forge({ jti: changedAt(claims.jti, 10) })}.${signature}`,
    `${header}.${forge({ jti: undefined })}.${signature}`,
    `${header}.${forge({ sub: "somebody-else" })}.${signature}`,
    `${header}.${payload}.${stranger.split(".")[2]}`,
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`,
  ]) {
    const answered = await whoami({ authorization: `Bearer ${forged}` });
    assert.equal(answered.status, 401, answered.text);
  }
});

test("a token needs a live session, and what a page says in its body counts for nothing", async () => {
  const { sessionToken, userId, cookie } = await signedIn(proxy);
  assertRefused(await tokenByCookie(proxy, ""), 401, "NoSession");
  assertRefused(await tokenByCookie(proxy, `${SESSION_COOKIE}=unknown`), 401, "NoSession");
  assertRefused(await tokenByCookie(proxy, "", { body: { sessionToken } }), 401, "NoSession");
  assertRefused(await tokenByCookie(proxy, "", { body: { userId } }), 401, "NoSession");
  const other = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie, { body: { sessionToken: other.sessionToken, userId: other.userId } });
  assert.equal(decodeJwt(json.token).sub, userId);
});

test("the app's server names exactly one, a session or a user", async () => {
  const { sessionToken, userId } = await signedIn(proxy);
  for (const body of [{}, { sessionToken, userId }, { sessionToken: "" }, { userId: 7 }]) {
    assertRefused(await tokenFor(proxy, body), 400, "BadJsonBody");
  }
  assertRefused(await tokenFor(proxy, { sessionToken: "unknown" }), 401, "NoSession");
});

test("a token for a user has no session and outlives them all", async () => {
  const { adapter, sessionToken, userId } = await signedIn(proxy);
  const { json } = await tokenFor(proxy, { userId });
  await adapter.deleteSession(sessionToken);
  assert.equal((await whoami(bearer(json))).json.value.subject, userId);
});

test("jose verifies a token against the published set", async () => {
  const { cookie, userId } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  const discovery = (await send(`${proxy.publicUrl}/.well-known/openid-configuration`)).json;
  const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
  const { payload, protectedHeader } = await jwtVerify(json.token, keys, { issuer, audience: "convex", algorithms: ["RS256"] });
  assert.equal(payload.sub, userId);
  assert.equal(protectedHeader.alg, "RS256");
  const published = (await send(discovery.jwks_uri)).json.keys;
  assert.ok(published.some(({ kid }) => kid === decodeProtectedHeader(json.token).kid));
});

test("the documents say what OIDC discovery requires, and the set holds no private half", async () => {
  const { json: discovery, headers } = await send(`${proxy.publicUrl}/.well-known/openid-configuration`);
  assert.match(headers["content-type"], /^application\/json/);
  assert.equal(discovery.issuer, issuer);
  assert.equal(discovery.jwks_uri, `${issuer}/.well-known/jwks.json`);
  for (const required of ["authorization_endpoint", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"]) {
    assert.ok(discovery[required]?.length > 0, required);
  }
  const { json: set } = await send(`${proxy.publicUrl}/.well-known/jwks.json`);
  assert.equal(set.keys.length, 1);
  for (const secret of ["d", "p", "q", "dp", "dq", "qi", "k"]) assert.ok(!(secret in set.keys[0]), secret);
});

test("a document that the client has already is 304, on both listeners", async () => {
  for (const base of [proxy.publicUrl, proxy.adapterUrl]) {
    for (const path of ["/.well-known/openid-configuration", "/.well-known/jwks.json"]) {
      const whole = await send(base + path);
      assert.equal(whole.status, 200);
      assert.match(whole.headers["cache-control"], /max-age=\d+/);
      const { etag } = whole.headers;
      assert.match(etag, /^"[^"]+"$/);
      for (const tag of [etag, `W/${etag}`, `"another", ${etag}`, "*"]) {
        const again = await send(base + path, { headers: { "if-none-match": tag } });
        assert.equal(again.status, 304, tag);
        assert.equal(again.text, "");
        assert.equal(again.headers.etag, etag);
      }
      assert.equal((await send(base + path, { headers: { "if-none-match": '"another"' } })).status, 200);
      const head = await send(base + path, { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(head.text, "");
    }
  }
});

test("a page that is not listed gets no token and is served as nobody", async () => {
  const { cookie, userId } = await signedIn(proxy);
  const pages = [
    { origin: "http://evil.example" },
    { origin: "http://localhost:3001" },
    { origin: "http://LOCALHOST:3000" },
    { origin: `${APP_ORIGIN}/` },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-origin" },
  ];
  for (const headers of pages) {
    const what = JSON.stringify(headers);
    assertRefused(await tokenByCookie(proxy, cookie, { headers }), 403, "OriginForbidden");
    const answered = await whoami({ cookie, ...headers });
    assert.equal(answered.status, 200, what);
    assert.equal(answered.json.value, null, what);
  }
  const listed = await tokenByCookie(proxy, cookie, { headers: { origin: APP_ORIGIN } });
  assert.equal(decodeJwt(listed.json.token).sub, userId);
  const forwarded = await tokenByCookie(proxy, cookie, { headers: { "sec-fetch-mode": "cors" } });
  assert.equal(decodeJwt(forwarded.json.token).sub, userId);
});

test("a preflight is answered here, with credentials for listed pages alone", async () => {
  const preflight = (target, origin) =>
    send(proxy.publicUrl + target, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,convex-client" },
    });
  for (const target of ["/api/query", "/api/mutation", "/api/action", "/api/query_ts", "/api/query_at_ts", "/auth/token"]) {
    const { status, headers } = await preflight(target, APP_ORIGIN);
    assert.equal(status, 204, target);
    assert.equal(headers["access-control-allow-origin"], APP_ORIGIN);
    assert.equal(headers["access-control-allow-credentials"], "true");
    assert.match(headers["access-control-allow-methods"], /POST/);
    for (const name of ["authorization", "content-type", "convex-client"]) {
      assert.ok(headers["access-control-allow-headers"].includes(name), name);
    }
    assert.match(headers.vary, /origin/i);
    const other = await preflight(target, "http://evil.example");
    assert.equal(other.headers["access-control-allow-origin"], "*");
    assert.equal(other.headers["access-control-allow-credentials"], undefined);
  }
  assert.equal((await preflight("/api/run/demo/whoami", APP_ORIGIN)).status, 404);
});

test("every answer has one set of CORS headers, refusals included", async () => {
  const { cookie } = await signedIn(proxy);
  const asked = (origin) => [
    () => whoami({ cookie, origin }),
    () => call(proxy.publicUrl, "query", "authAdapter:getUser", {}, { origin }),
    () => tokenByCookie(proxy, "", { headers: { origin } }),
    () => send(`${proxy.publicUrl}/nowhere`, { headers: { origin } }),
    () => send(`${proxy.publicUrl}/.well-known/jwks.json`, { headers: { origin } }),
  ];
  for (const ask of asked(APP_ORIGIN)) {
    const { headers } = await ask();
    assert.equal(headers["access-control-allow-origin"], APP_ORIGIN);
    assert.equal(headers["access-control-allow-credentials"], "true");
  }
  for (const ask of asked("http://evil.example")) {
    const { headers } = await ask();
    assert.equal(headers["access-control-allow-origin"], "*");
    assert.equal(headers["access-control-allow-credentials"], undefined);
  }
  assert.equal((await whoami({})).headers["access-control-allow-origin"], undefined);
});
