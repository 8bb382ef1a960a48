// Keys: as `keygen` prints them, as jose reads them, as a proxy takes them, in the three algorithms.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { SignJWT, calculateJwkThumbprint, createRemoteJWKSet, decodeProtectedHeader, exportJWK, importJWK, importPKCS8, jwtVerify } from "jose";

import { assertRefused, call, send, valueOf } from "./lib/http.mjs";
import { keyPair, serveEnvironment } from "./lib/keys.mjs";
import { runToEnd, startDev, startServe } from "./lib/proxy.mjs";
import { signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";

const ALGORITHMS = ["RS256", "ES256", "EdDSA"];

const keygen = async (...args) => {
  const { code, stdout, stderr } = await runToEnd(["keygen", ...args]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  return stdout;
};

/** The two variables, read as the shell and dotenv read them. */
function readEnv(text) {
  const key = /^CONVEX_AUTH_PRIVATE_KEY="(.+)"$/m.exec(text);
  const jwks = /^JWKS=(\{.+\})$/m.exec(text);
  assert.ok(key && jwks, "two variables");
  assert.ok(!key[1].includes("\n"));
  return { asPasted: key[1], pem: key[1].replaceAll("\\n", "\n"), jwks: jwks[1] };
}

for (const algorithm of ALGORITHMS) {
  test(`keygen --alg ${algorithm} prints a pair that jose signs and verifies with`, async () => {
    const { pem, jwks } = readEnv(await keygen("--alg", algorithm));
    const [published] = JSON.parse(jwks).keys;
    assert.equal(published.use, "sig");
    assert.equal(published.kid, await calculateJwkThumbprint(published));
    const token = await new SignJWT({ sub: "x" }).setProtectedHeader({ alg: algorithm }).sign(await importPKCS8(pem, algorithm));
    const { payload } = await jwtVerify(token, await importJWK(published, algorithm));
    assert.equal(payload.sub, "x");
  });

  test(`keygen --alg ${algorithm} --format pem prints a private key alone, --format jwks a public set alone`, async () => {
    const pem = await keygen("--alg", algorithm, "--format", "pem");
    assert.match(pem, /^-----BEGIN PRIVATE KEY-----\n[\s\S]+\n-----END PRIVATE KEY-----\n$/);
    const jwk = await exportJWK(await importPKCS8(pem, algorithm, { extractable: true }));
    assert.ok(jwk.d);
    const { keys } = JSON.parse(await keygen("--alg", algorithm, "--format", "jwks", "--kid", "key 7"));
    assert.equal(keys.length, 1);
    assert.equal(keys[0].kid, "key 7");
    assert.ok(!("d" in keys[0]));
    await importJWK(keys[0], algorithm);
  });

  test(`dev with ${algorithm} signs tokens that jose verifies against the published set`, async () => {
    const proxy = await startDev({ CONVEX_AUTH_PROXY__TOKEN__ALGORITHM: algorithm });
    const { cookie, userId } = await signedIn(proxy);
    const { json } = await tokenByCookie(proxy, cookie);
    const discovery = (await send(`${proxy.publicUrl}/.well-known/openid-configuration`)).json;
    assert.deepEqual(discovery.id_token_signing_alg_values_supported, [algorithm]);
    const { payload } = await jwtVerify(json.token, createRemoteJWKSet(new URL(discovery.jwks_uri)), {
      issuer: discovery.issuer, audience: "convex", algorithms: [algorithm],
    });
    assert.equal(payload.sub, userId);
    const forced = (await tokenByCookie(proxy, cookie, { body: { forceRefresh: true } })).json.token;
    assert.notEqual(forced, json.token);
    const answered = await call(proxy.publicUrl, "query", "demo:whoami", {}, { cookie });
    assert.equal(answered.json.value.subject, userId, "the embedded deployment takes each of them");
    await proxy.stop();
  });

  test(`a proxy takes what keygen --alg ${algorithm} printed, as it was pasted`, async () => {
    const { asPasted, jwks } = readEnv(await keygen("--alg", algorithm));
    const proxy = await startDev({ CONVEX_AUTH_PRIVATE_KEY: asPasted, JWKS: jwks });
    assert.deepEqual((await send(`${proxy.publicUrl}/.well-known/jwks.json`)).json, JSON.parse(jwks));
    const { cookie, userId } = await signedIn(proxy);
    const { json } = await tokenByCookie(proxy, cookie);
    const { kid } = decodeProtectedHeader(json.token);
    assert.equal(kid, JSON.parse(jwks).keys[0].kid);
    const [published] = JSON.parse(jwks).keys;
    assert.equal((await jwtVerify(json.token, await importJWK(published, algorithm))).payload.sub, userId);
    await proxy.stop();
  });
}

test("keygen's default is RS256 in the form of the environment", async () => {
  const { jwks } = readEnv(await keygen());
  assert.equal(JSON.parse(jwks).keys[0].kty, "RSA");
});

test("keygen says what it takes, with exit code 2", async () => {
  for (const args of [["--alg", "HS256"], ["--format", "der"], ["--size", "1024"]]) {
    const { code, stdout, stderr } = await runToEnd(["keygen", ...args]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.ok(stderr.includes(args[0]), stderr);
  }
});

test("a set from before, without kid, gives tokens without kid", async () => {
  const { pem, jwks } = keyPair();
  const keys = JSON.parse(jwks).keys.map(({ kid, alg, ...key }) => key);
  const proxy = await startDev({ CONVEX_AUTH_PRIVATE_KEY: pem, JWKS: JSON.stringify({ keys }) });
  const { cookie, userId } = await signedIn(proxy);
  const { json } = await tokenByCookie(proxy, cookie);
  assert.equal(decodeProtectedHeader(json.token).kid, undefined);
  assert.equal((await valueOf(proxy.publicUrl, "query", "demo:whoami", {}, { cookie })).subject, userId);
  await proxy.stop();
});

test("a set that does not hold the key's public half is refused at the start", async () => {
  const environment = serveEnvironment("http://127.0.0.1:9", { pem: keyPair().pem, jwks: keyPair().jwks });
  const { code, stderr } = await runToEnd(["serve"], environment);
  assert.equal(code, 2);
  assert.match(stderr, /token\.jwks/);
});

describe("two replicas in front of one deployment", async () => {
  const pair = keyPair();
  const secret = "one secret of all replicas";
  const first = await startDev({ CONVEX_AUTH_PRIVATE_KEY: pair.pem, JWKS: pair.jwks, CONVEX_AUTH_ADAPTER_SECRET: secret });
  const replica = {
    ...serveEnvironment(first.deploymentUrl, pair),
    CONVEX_AUTH_ADAPTER_SECRET: secret,
    CONVEX_AUTH_PROXY__TOKEN__ISSUER: `http://127.0.0.1:${first.ports.public}`,
    CONVEX_AUTH_PROXY__CACHE__TTL: "0s",
  };
  const second = await startServe(replica);
  const refusing = await startServe({ ...replica, CONVEX_AUTH_PROXY__TOKEN__CLIENT_TOKENS: "refuse" });
  const passing = await startServe({ ...replica, CONVEX_AUTH_PROXY__TOKEN__CLIENT_TOKENS: "pass" });
  after(async () => {
    await Promise.all([second.stop(), refusing.stop(), passing.stop()]);
    await first.stop();
  });
  const whoami = (proxy, token) => call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization: `Bearer ${token}` });

  test("a token of one counts at the other while its session lives", async () => {
    const { adapter, sessionToken, userId } = await signedIn(first);
    const { token } = (await tokenFor(first, { sessionToken })).json;
    for (const proxy of [second, refusing, passing]) assert.equal((await whoami(proxy, token)).json.value.subject, userId);
    await adapter.deleteSession(sessionToken);
    assertRefused(await whoami(second, token), 401, "SessionEnded");
    assertRefused(await whoami(refusing, token), 401, "SessionEnded");
    assert.equal((await whoami(passing, token)).json.value.subject, userId, "passed untouched, and still valid");
  });

  test("a token that this key signed for somebody else's purpose is foreign", async () => {
    const foreign = await new SignJWT({ sub: "from the app" })
      .setProtectedHeader({ alg: "RS256", kid: "key-of-the-tests" })
      .setIssuer(`http://127.0.0.1:${first.ports.public}`).setAudience("convex").setIssuedAt().setExpirationTime("1h")
      .sign(await importPKCS8(pair.pem, "RS256"));
    assert.equal((await whoami(second, foreign)).json.value.subject, "from the app");
    assertRefused(await whoami(refusing, foreign), 401, "TokenForeign");
    assert.equal((await whoami(passing, foreign)).json.value.subject, "from the app");
  });
});
