// The published clients of the sync socket, the newest and the oldest that Convex serves, through the proxy and unchanged.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { CLIENTS, connect } from "./lib/clients.mjs";
import { startDev, waitFor } from "./lib/proxy.mjs";
import { pageTokens, signedIn } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

/** More than goes into one chunk of a transition, and less than a function may return. */
const LARGE_CHARACTERS = 12_000_000;

for (const name of CLIENTS) {
  const open = (t, options) => connect(t, proxy.publicUrl, { name, ...options });

  describe(name, () => {
    test("shows a live query to nobody, and what another client writes", async (t) => {
      const [reader, writer] = [open(t), open(t)];
      const body = `pushed to ${name}`;
      const messages = reader.watch("demo:list");
      const whoami = reader.watch("demo:whoami");
      const before = await messages.settled();
      assert.ok(Array.isArray(before));
      assert.equal(await whoami.settled(), null);
      const id = await writer.mutation("demo:send", { body });
      const after = await messages.until((list) => list.some(({ _id }) => _id === id));
      assert.deepEqual(
        after.slice(-1).map(({ author, body }) => ({ author, body })),
        [{ author: "anonymous", body }],
      );
      assert.equal(reader.sockets.length, 1);
    });

    test("runs mutations in their order and actions beside them", async (t) => {
      const client = open(t);
      const messages = client.watch("demo:list");
      await messages.settled();
      const bodies = Array.from({ length: 20 }, (_, index) => `${name}, message ${index}`);
      const sent = bodies.map((body) => client.mutation("demo:send", { body }));
      assert.equal(await client.action("demo:ping"), "pong");
      const ids = await Promise.all(sent);
      assert.equal(new Set(ids).size, bodies.length);
      const shown = messages.value.filter(({ _id }) => ids.includes(_id)).map(({ body }) => body);
      assert.deepEqual(shown, bodies, "a mutation's answer comes after the queries show it");
    });

    test("throws what a function throws, and goes on", async (t) => {
      const client = open(t);
      await assert.rejects(client.query("demo:nothing"), /Could not find public function for 'demo(\.js)?:nothing'/);
      await assert.rejects(client.mutation("demo:send", { body: 7 }), /ArgumentValidationError/);
      await assert.rejects(client.mutation("demo:nothing"), /Could not find public function/);
      await assert.rejects(client.action("demo:nothing"), /Could not find public function/);
      assert.equal(await client.action("demo:ping"), "pong");
      assert.equal(client.sockets.length, 1);
    });

    test("is signed in by setAuth, signs what it sends, and is nobody after clearAuth", async (t) => {
      const { cookie, userId } = await signedIn(proxy);
      const client = open(t);
      const whoami = client.watch("demo:whoami");
      assert.equal(await whoami.settled(), null);
      client.setAuth(pageTokens(proxy, cookie));
      assert.equal((await whoami.until((identity) => identity !== null)).subject, userId);
      await waitFor("both tokens are confirmed", () => client.authChanges.length > 0 && client.socket.version.identity === 2);
      assert.ok(client.authChanges.every(Boolean), `${client.authChanges}`);
      assert.deepEqual(client.demands, [false, true], "a token at hand, then a fresh one");
      const id = await client.mutation("demo:send", { body: "signed" });
      const signed = (await client.query("demo:list")).find(({ _id }) => _id === id);
      assert.equal(signed.author, "Grace Hopper");
      client.clearAuth();
      await whoami.until((identity) => identity === null);
      assert.equal(client.sockets.length, 1, "all of it on one socket");
    });

    test("with setAuth from the start is never shown to be anybody else", async (t) => {
      const { cookie, userId } = await signedIn(proxy);
      const client = open(t);
      client.setAuth(pageTokens(proxy, cookie));
      const whoami = client.watch("demo:whoami");
      assert.equal((await whoami.until((identity) => identity !== null)).subject, userId);
      await waitFor("it is told so", () => client.authChanges.length > 0);
      assert.equal(client.sockets.length, 1);
    });

    test("whose fetchToken has none is told that it is signed out", async (t) => {
      const client = open(t);
      const whoami = client.watch("demo:whoami");
      client.setAuth(async () => null);
      await waitFor("it is told so", () => client.authChanges.length > 0);
      assert.deepEqual(client.authChanges, [false]);
      assert.equal(await whoami.until(() => true), null);
    });

    test("gets a result of twelve million characters", async (t) => {
      const client = open(t);
      const text = "0123456789ä\u2028";
      const value = await client.query("demo:repeat", { text, times: LARGE_CHARACTERS / text.length });
      assert.equal(value.length, LARGE_CHARACTERS);
      assert.ok(value === text.repeat(LARGE_CHARACTERS / text.length));
      const takesChunks = !name.includes("oldest");
      assert.equal(client.socket.chunks > 0, takesChunks, `${client.socket.chunks} chunks`);
      assert.equal(await client.query("demo:whoami"), null);
      assert.equal(client.sockets.length, 1);
    });

    test("comes back after its connection is cut, with its queries and who it is", async (t) => {
      const { cookie, userId } = await signedIn(proxy);
      const client = open(t);
      const whoami = client.watch("demo:whoami");
      const messages = client.watch("demo:list");
      client.setAuth(pageTokens(proxy, cookie));
      await whoami.until((identity) => identity?.subject === userId);
      client.socket.terminate();
      await waitFor("there is another socket", () => client.sockets.length === 2);
      const body = `after the cut of ${name}`;
      const sending = client.mutation("demo:send", { body });
      await messages.until((list) => list.some((message) => message.body === body));
      await sending;
      assert.equal(whoami.value.subject, userId);
      const [{ message: hello }] = client.socket.sent;
      assert.equal(hello.type, "Connect");
      assert.equal(hello.connectionCount, 1);
      assert.equal(hello.sessionId, client.sockets[0].sent[0].message.sessionId);
    });
  });
}

test("a query that is watched twice, let go and watched again is live each time", async (t) => {
  const client = connect(t, proxy.publicUrl);
  for (let round = 0; round < 5; round += 1) {
    const watches = [client.watch("demo:list"), client.watch("demo:list"), client.watch("demo:whoami")];
    const body = `round ${round}`;
    await client.mutation("demo:send", { body });
    for (const watch of watches.slice(0, 2)) await watch.until((list) => list.at(-1)?.body === body);
    watches.forEach((watch) => watch.stop());
  }
  const changes = client.socket.sentOf("ModifyQuerySet").length;
  await waitFor("each change is confirmed", () => client.socket.version.querySet === changes);
  assert.equal(client.sockets.length, 1);
});

describe("with tokens that live twelve seconds", async () => {
  const hasty = await startDev({ CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "12s" });
  after(() => hasty.stop());

  test("a client that renews them in time stays signed in on one socket", async (t) => {
    const { cookie, userId } = await signedIn(hasty);
    const client = connect(t, hasty.publicUrl);
    const whoami = client.watch("demo:whoami");
    const seen = new Set();
    client.setAuth(pageTokens(hasty, cookie));
    await whoami.until((identity) => identity !== null);
    // The client asks ten seconds before the end: every two seconds.
    await waitFor("four tokens are confirmed", () => {
      seen.add(whoami.value?.subject);
      return client.socket.version.identity >= 4;
    });
    assert.deepEqual([...seen], [userId], "nobody else in between");
    const tokens = client.socket.sentOf("Authenticate").map(({ value }) => value);
    assert.equal(new Set(tokens).size, tokens.length, "each is a new one");
    assert.ok(client.authChanges.every(Boolean));
    assert.equal(client.sockets.length, 1);
  });
});
