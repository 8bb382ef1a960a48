// Tokens that a client brings itself: `token.client_tokens` on the sync socket, and what becomes of one that the deployment refuses.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { connect } from "./lib/clients.mjs";
import { send } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { startServe, waitFor } from "./lib/proxy.mjs";
import { openConnected } from "./lib/raw.mjs";
import { SESSION_COOKIE, tokenFor } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const base64url = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");

/** One that the proxy did not mint, for `sub`. */
const foreign = (sub = "somebody") =>
  `${base64url({ alg: "RS256", typ: "JWT" })}.${base64url({ iss: "https://other.example", aud: "convex", sub, iat: 1, exp: 4e9 })}.AAAA`;

async function served(policy) {
  const deployment = await scriptedDeployment();
  const proxy = await startServe(
    { ...serveEnvironment(deployment.url), CONVEX_AUTH_PROXY__TOKEN__CLIENT_TOKENS: policy },
    { isReady: false },
  );
  after(async () => {
    await proxy.stop();
    deployment.close();
  });
  deployment.sessions.set("ada-session", "users|ada");
  deployment.sessions.set("grace-session", "users|grace");
  return { deployment, proxy };
}

/** What a raw client of that token is told, and the deployment's socket for it. */
async function told(t, { deployment, proxy }, token, headers) {
  const raw = await openConnected(t, proxy.publicUrl, { headers });
  raw.authenticate(token);
  raw.add("demo:whoami");
  const isWord = ({ type, endVersion }) => type === "AuthError" || endVersion?.identity > 0;
  const word = await raw.next("an answer", isWord);
  return { raw, word, upstream: deployment.sockets.at(-1) };
}

const signOut = ({ proxy }, sessionToken) => send(`${proxy.adapterUrl}/adapter/deleteSession`, { body: { sessionToken } });

describe("check", async () => {
  const both = await served("check");

  test("a foreign token goes to the deployment as it is", async (t) => {
    const { word, upstream } = await told(t, both, foreign());
    assert.equal(word.type, "Transition");
    assert.equal(upstream.of("Authenticate")[0].value, foreign());
  });

  test("one minted here goes as it is while its session lives, and not at all afterwards", async (t) => {
    const { token } = (await tokenFor(both.proxy, { sessionToken: "grace-session" })).json;
    const { word, upstream } = await told(t, both, token);
    assert.equal(word.type, "Transition");
    assert.equal(upstream.of("Authenticate")[0].value, token);
    await signOut(both, "grace-session");
    const after = await told(t, both, token);
    assert.equal(after.word.type, "AuthError");
    assert.equal(after.word.authUpdateAttempted, true);
    assert.equal(after.word.baseVersion, 0);
    assert.equal(after.upstream.of("Authenticate").length, 0);
    await after.raw.closed();
  });

  test("the deployment's refusal of a client's own token reaches it in its own numbers, also beside a cookie", async (t) => {
    both.deployment.refuses = (token) => token === foreign("refused");
    for (const headers of [{}, { cookie: `${SESSION_COOKIE}=ada-session` }]) {
      const { raw, word } = await told(t, both, foreign("refused"), headers);
      assert.deepEqual(
        { type: word.type, baseVersion: word.baseVersion, attempted: word.authUpdateAttempted },
        { type: "AuthError", baseVersion: 0, attempted: true },
      );
      await raw.closed();
    }
  });

  test("an expired identity of the client's own is told in its own numbers, and the client asks for another token", async (t) => {
    const client = connect(t, both.proxy.publicUrl, { headers: { cookie: `${SESSION_COOKIE}=ada-session` } });
    const whoami = client.watch("demo:whoami");
    assert.equal((await whoami.settled()).subject, "users|ada");
    let given = 0;
    client.setAuth(async () => foreign(`somebody ${(given += 1)}`));
    await waitFor("both tokens are confirmed", () => client.socket.version.identity === 2);
    const upstream = both.deployment.sockets.at(-1);
    assert.equal(upstream.of("Authenticate").length, 3, "the proxy's, and the client's two");
    upstream.send({ type: "AuthError", error: "Convex token identity expired", baseVersion: 3, authUpdateAttempted: false });
    upstream.close();
    await waitFor("there is another socket", () => client.sockets.length === 2);
    await whoami.until((identity) => identity?.subject === "somebody 3");
    assert.deepEqual(
      client.sockets[0].of("AuthError").map(({ baseVersion }) => baseVersion),
      [2],
    );
    assert.ok(client.authChanges.every(Boolean));
  });
});

describe("pass", async () => {
  const both = await served("pass");

  test("a token goes to the deployment whether its session lives or not", async (t) => {
    const { token } = (await tokenFor(both.proxy, { sessionToken: "ada-session" })).json;
    await signOut(both, "ada-session");
    for (const one of [token, foreign()]) {
      const { word, upstream } = await told(t, both, one);
      assert.equal(word.type, "Transition");
      assert.equal(upstream.of("Authenticate")[0].value, one);
    }
  });
});

describe("refuse", async () => {
  const both = await served("refuse");

  test("a foreign token is refused here, and one minted here is taken", async (t) => {
    const { word, raw, upstream } = await told(t, both, foreign());
    assert.equal(word.type, "AuthError");
    assert.equal(word.authUpdateAttempted, true);
    assert.equal(upstream.of("Authenticate").length, 0);
    await raw.closed();
    const { token } = (await tokenFor(both.proxy, { sessionToken: "ada-session" })).json;
    assert.equal((await told(t, both, token)).word.type, "Transition");
  });
});
