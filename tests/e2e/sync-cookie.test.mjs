// The zero-token browser: the cookie of the upgrade says who the socket speaks for, and what a client says itself wins over it.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { CLIENTS, connect } from "./lib/clients.mjs";
import { assertRefused } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { startDev, startServe, waitFor } from "./lib/proxy.mjs";
import { openConnected, upgrade } from "./lib/raw.mjs";
import { APP_ORIGIN, SESSION_COOKIE, pageTokens, signedIn, tokenByCookie, tokenFor } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const proxy = await startDev();
after(() => proxy.stop());

/** The subject on a socket that is opened with these headers, by its first result. */
async function subjectBy(t, headers) {
  const client = connect(t, proxy.publicUrl, { headers });
  const identity = await client.query("demo:whoami");
  assert.equal(client.socket.version.identity, 0, "the client has said nothing, and is told of nothing");
  return identity?.subject ?? null;
}

for (const name of CLIENTS) {
  test(`${name} with a cookie and no auth code is its user, by the first result`, async (t) => {
    const { cookie, userId } = await signedIn(proxy);
    const client = connect(t, proxy.publicUrl, { name, headers: { cookie, origin: APP_ORIGIN } });
    assert.equal((await client.watch("demo:whoami").settled()).subject, userId);
    const id = await client.mutation("demo:send", { body: "signed by a cookie" });
    const signed = (await client.query("demo:list")).find(({ _id }) => _id === id);
    assert.equal(signed.author, "Grace Hopper");
    assert.equal(await client.action("demo:ping"), "pong");
    assert.equal(client.socket.version.identity, 0, "it has said nothing about itself");
    assert.equal(client.sockets.length, 1);
    client.socket.terminate();
    await waitFor("there is another socket", () => client.sockets.length === 2);
    assert.equal((await client.query("demo:whoami")).subject, userId, "after a reconnect too");
  });
}

test("nothing but the user's own result is ever shown for a cookie", async (t) => {
  const { cookie, userId } = await signedIn(proxy);
  const raw = await openConnected(t, proxy.publicUrl, { headers: { cookie, origin: APP_ORIGIN } });
  const queryId = raw.add("demo:whoami");
  const first = await raw.result(queryId);
  assert.equal(first.value.subject, userId);
  const transitions = raw.socket.of("Transition");
  assert.ok(transitions.every(({ startVersion, endVersion }) => startVersion.identity === 0 && endVersion.identity === 0));
});

test("a cookie counts from a listed page and from a server that forwards it", async (t) => {
  const { cookie, userId } = await signedIn(proxy);
  assert.equal(await subjectBy(t, { cookie, origin: APP_ORIGIN }), userId);
  assert.equal(await subjectBy(t, { cookie, origin: APP_ORIGIN, "sec-fetch-site": "same-site" }), userId);
  assert.equal(await subjectBy(t, { cookie }), userId);
  assert.equal(await subjectBy(t, { cookie, "sec-fetch-mode": "websocket" }), userId);
});

test("a page that is not listed is refused when it brings a cookie of a session", async () => {
  const { cookie } = await signedIn(proxy);
  const pages = [
    "http://evil.example",
    "http://localhost:3001",
    "http://LOCALHOST:3000",
    `${APP_ORIGIN}/`,
    "https://localhost:3000",
    "null",
  ];
  for (const origin of pages) {
    for (const version of ["1.48.0", "1.0.2", ""]) {
      assertRefused(await upgrade(proxy.publicUrl, { version, headers: { cookie, origin } }), 403, "OriginForbidden");
    }
  }
  assertRefused(
    await upgrade(proxy.publicUrl, { headers: { cookie: `${SESSION_COOKIE}=unknown`, origin: pages[0] } }),
    403,
    "OriginForbidden",
  );
});

test("without a cookie every page is nobody", async (t) => {
  assert.equal(await subjectBy(t, { origin: "http://evil.example" }), null);
  assert.equal(await subjectBy(t, { origin: APP_ORIGIN }), null);
  assert.equal(await subjectBy(t, { origin: "http://evil.example", cookie: "theme=dark" }), null);
});

test("a browser's request without an origin does not speak for its cookie", async () => {
  const { cookie } = await signedIn(proxy);
  for (const site of ["cross-site", "same-origin", "none"]) {
    const answered = await upgrade(proxy.publicUrl, { headers: { cookie, "sec-fetch-site": site } });
    assertRefused(answered, 403, "OriginForbidden");
  }
});

test("a cookie of no session, of an ended one or of another name is nobody, and the socket lives", async (t) => {
  const ended = await signedIn(proxy, { livesMs: -1_000 });
  for (const cookie of [`${SESSION_COOKIE}=unknown`, ended.cookie, "session=1", `${SESSION_COOKIE}=`]) {
    assert.equal(await subjectBy(t, { cookie, origin: APP_ORIGIN }), null, cookie);
  }
});

test("a cookie in chunks is joined, and of two the first counts", async (t) => {
  const sessionToken = "0123456789abcdef".repeat(300);
  const { userId } = await signedIn(proxy, { sessionToken });
  const chunked = [0, 1].map((index) => `${SESSION_COOKIE}.${index}=${sessionToken.slice(index * 3_936, (index + 1) * 3_936)}`);
  assert.equal(await subjectBy(t, { cookie: chunked.toReversed().join("; "), origin: APP_ORIGIN }), userId);
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  assert.equal(await subjectBy(t, { cookie: `${ada.cookie}; ${grace.cookie}`, origin: APP_ORIGIN }), ada.userId);
});

for (const name of CLIENTS) {
  test(`${name}'s own token wins over its cookie, and so does its clearAuth`, async (t) => {
    const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
    const client = connect(t, proxy.publicUrl, { name, headers: { cookie: grace.cookie, origin: APP_ORIGIN } });
    const whoami = client.watch("demo:whoami");
    assert.equal((await whoami.settled()).subject, grace.userId);
    client.setAuth(pageTokens(proxy, ada.cookie));
    await whoami.until((identity) => identity?.subject === ada.userId);
    await waitFor("both tokens are confirmed", () => client.socket.version.identity === 2);
    assert.ok(client.authChanges.length > 0 && client.authChanges.every(Boolean));
    client.clearAuth();
    await whoami.until((identity) => identity?.subject !== ada.userId);
    assert.equal(whoami.value, null, "it said that it is nobody");
    await waitFor("that is confirmed too", () => client.socket.version.identity === 3);
    assert.equal(client.sockets.length, 1);
  });
}

test("each Authenticate of a client is answered by one step of its own identity, also beside a cookie", async (t) => {
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  const raw = await openConnected(t, proxy.publicUrl, { headers: { cookie: grace.cookie, origin: APP_ORIGIN } });
  const queryId = raw.add("demo:whoami");
  assert.equal((await raw.result(queryId)).value.subject, grace.userId);
  const token = async (session) => (await tokenFor(proxy, { sessionToken: session.sessionToken, forceRefresh: true })).json.token;
  for (const [step, session] of [ada, grace, undefined, ada].entries()) {
    raw.authenticate(session && (await token(session)));
    const { startVersion, endVersion } = await raw.transition((message) => message.endVersion.identity === step + 1);
    assert.equal(startVersion.identity, step);
    const shown = raw.socket.received.flatMap(({ message }) => message.modifications ?? []).filter((one) => one.queryId === queryId);
    assert.equal(shown.at(-1).value?.subject ?? null, session?.userId ?? null);
  }
  assert.deepEqual(raw.socket.gaps, []);
});

test("what a client sends at once, before anything is answered, is taken in its order", async (t) => {
  const [ada, grace] = [await signedIn(proxy), await signedIn(proxy)];
  const { token } = (await tokenFor(proxy, { sessionToken: ada.sessionToken })).json;
  const raw = await openConnected(t, proxy.publicUrl, { headers: { cookie: grace.cookie, origin: APP_ORIGIN } });
  raw.authenticate(token);
  const queryId = raw.add("demo:whoami");
  const sent = [0, 1, 2].map((index) => raw.call("Mutation", "demo:send", { body: `burst ${index}` }));
  assert.equal((await raw.result(queryId)).value.subject, ada.userId, "never the cookie's user");
  for (const answered of await Promise.all(sent)) assert.equal(answered.success, true);
  assert.deepEqual(raw.socket.gaps, []);
});

describe("with tokens that live ten seconds", { concurrency: true }, async () => {
  const hasty = await startDev({ CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "10s", CONVEX_AUTH_PROXY__CACHE__TTL: "0s" });
  after(() => hasty.stop());

  test("a session's token is renewed behind the client, who notices nothing", async (t) => {
    const { cookie, userId } = await signedIn(hasty);
    const client = connect(t, hasty.publicUrl, { headers: { cookie, origin: APP_ORIGIN } });
    const whoami = client.watch("demo:whoami");
    const seen = new Set([(await whoami.settled()).subject]);
    // One that was minted after the socket's own ends after it.
    const { expiresAt } = (await tokenByCookie(hasty, cookie, { body: { forceRefresh: true } })).json;
    await waitFor("the first token has ended", () => {
      seen.add(whoami.value?.subject);
      return Date.now() > expiresAt + 500;
    });
    // A mutation makes the deployment look at the identity's end again.
    await client.mutation("demo:send", { body: "long after" });
    assert.equal((await client.query("demo:list")).at(-1).author, "Grace Hopper");
    assert.deepEqual([...seen], [userId]);
    assert.equal(client.socket.version.identity, 0);
    assert.equal(client.socket.of("AuthError").length, 0);
    assert.equal(client.sockets.length, 1);
  });

  test("a session that cannot be read again in time closes the socket, and nobody takes it for a sign-out", async (t) => {
    const deployment = await scriptedDeployment();
    const served = await startServe(
      { ...serveEnvironment(deployment.url), CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "10s", CONVEX_AUTH_PROXY__CACHE__TTL: "0s" },
      { isReady: false },
    );
    deployment.sessions.set("ada-session", "users|ada");
    const headers = { cookie: `${SESSION_COOKIE}=ada-session` };
    const client = connect(t, served.publicUrl, { headers });
    const whoami = client.watch("demo:whoami");
    assert.equal((await whoami.settled()).subject, "users|ada");
    deployment.isBroken = true;
    assertRefused(await upgrade(served.publicUrl, { headers }), 502, "UpstreamRefused");
    assert.equal((await upgrade(served.publicUrl)).status, 101, "who needs no session is served");
    await waitFor("the socket is closed", () => client.sockets[0].end);
    assert.ok([1012, 1013].includes(client.sockets[0].end.code), `${client.sockets[0].end.code}`);
    assert.equal(client.sockets[0].of("AuthError").length, 0);
    assert.equal(whoami.value.subject, "users|ada", "it shows what it last knew");
    deployment.isBroken = false;
    await waitFor("it has come back", () => client.socket.received.length > 0);
    assert.equal(whoami.value.subject, "users|ada");
    assert.ok(
      client.sockets.every((socket) =>
        socket.of("Transition").every(({ modifications }) => modifications.every(({ value }) => value !== null)),
      ),
    );
    await client.close();
    await served.stop();
    deployment.close();
  });
});
