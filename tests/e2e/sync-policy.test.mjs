// What may not be done through the sync socket: each refusal is one call's, and the client lives on.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CLIENTS, connect } from "./lib/clients.mjs";
import { startDev } from "./lib/proxy.mjs";
import { openConnected } from "./lib/raw.mjs";
import { signedIn } from "./lib/seed.mjs";
import { SPELLINGS } from "./lib/spellings.mjs";

const proxy = await startDev();
after(() => proxy.stop());
const visitor = await signedIn(proxy);

/** Other functions of the module, its default export included. */
const OTHERS = [
  "authAdapter:deleteUser",
  "authAdapter:getSessionAndUser",
  "authAdapter:notOneOfThem",
  "authAdapter",
  "authAdapter.js",
  "authAdapter/",
  "authAdapter:default",
];

/** What no parser of the deployment takes. */
const UNREADABLE = [
  "/authAdapter:getUser",
  "./authAdapter:getUser",
  "x/../authAdapter:getUser",
  "authAdapter::getUser",
  "authAdapter:",
  " authAdapter:getUser",
  "authAdapter:getUser/",
  "ａuthAdapter:getUser",
  "",
  ":",
];

const REFUSED = /adapter/i;

for (const name of CLIENTS) {
  test(`${name} is refused adapter functions, one by one, and keeps its socket`, async (t) => {
    const client = connect(t, proxy.publicUrl, { name });
    const list = client.watch("demo:list");
    await list.settled();
    const args = { id: visitor.userId };
    await assert.rejects(client.query("authAdapter:getUser", args), REFUSED);
    await assert.rejects(client.mutation("authAdapter:deleteUser", args), REFUSED);
    await assert.rejects(client.action("authAdapter:getUser", args), REFUSED);
    await assert.rejects(client.query("authAdapter:getUser", { ...args, secret: "a wrong one" }), REFUSED);
    const watches = [
      client.watch("authAdapter:getUser", args),
      client.watch("demo:whoami"),
      client.watch("authAdapter:getUser", { ...args, secret: "" }),
    ];
    for (const watch of watches) await watch.settled().catch(() => {});
    assert.match(watches[0].error.message, REFUSED);
    assert.equal(watches[1].value, null);
    watches.forEach((watch) => watch.stop());
    assert.equal(typeof (await client.mutation("demo:send", { body: "after the refusals" })), "string");
    await list.until((messages) => messages.at(-1).body === "after the refusals");
    assert.equal(client.sockets.length, 1);
    assert.equal((await visitor.adapter.getUser(visitor.userId)).id, visitor.userId, "nothing was deleted");
  });

  test(`${name} reaches adapter functions with the right secret`, async (t) => {
    const client = connect(t, proxy.publicUrl, { name });
    const found = await client.query("authAdapter:getUser", { id: visitor.userId, secret: proxy.secret });
    assert.equal(found._id, visitor.userId);
  });
}

test("every spelling of an adapter function is refused on every lane of the socket", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  for (const udfPath of [...SPELLINGS, ...OTHERS]) {
    const args = { id: visitor.userId };
    const failed = await raw.result(raw.add(udfPath, args));
    assert.equal(failed.type, "QueryFailed", udfPath);
    assert.match(failed.errorMessage, REFUSED, udfPath);
    for (const lane of ["Mutation", "Action"]) {
      const answered = await raw.call(lane, udfPath, args);
      assert.equal(answered.success, false, `${lane} ${udfPath}`);
      assert.match(answered.result, REFUSED, udfPath);
      assert.deepEqual(answered.logLines, []);
    }
  }
  await raw.assertLives();
});

test("a refusal tells nothing of the arguments", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  const canary = "canary-9f31";
  const said = [
    await raw.result(raw.add("authAdapter:getUser", { id: canary, secret: canary })),
    await raw.call("Mutation", "authAdapter:deleteUser", { id: canary, secret: canary }),
  ];
  assert.ok(!JSON.stringify(said).includes(canary));
});

test("every spelling with the right secret reaches the function", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  for (const udfPath of SPELLINGS) {
    const found = await raw.result(raw.add(udfPath, { id: visitor.userId, secret: proxy.secret }));
    assert.equal(found.value?._id, visitor.userId, `${udfPath}: ${found.errorMessage}`);
  }
});

test("refused queries stand beside others in one query set and can be let go", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  const add = (queryId, udfPath) => ({ type: "Add", queryId, udfPath, args: [{}] });
  raw.modify([add(100, "demo:whoami"), add(101, "authAdapter:getUser"), add(102, "demo:list"), add(103, "authAdapter.js/.:getUser")]);
  const { modifications, endVersion } = await raw.transition();
  const types = Object.fromEntries(modifications.map(({ queryId, type }) => [queryId, type]));
  assert.deepEqual(types, { 100: "QueryUpdated", 101: "QueryFailed", 102: "QueryUpdated", 103: "QueryFailed" });
  assert.equal(endVersion.querySet, 1);
  raw.modify([101, 102].map((queryId) => ({ type: "Remove", queryId })));
  assert.equal((await raw.transition(({ endVersion }) => endVersion.querySet === 2)).endVersion.querySet, 2);
  raw.modify([{ type: "Remove", queryId: 103 }]);
  raw.modify([add(101, "demo:list")]);
  assert.equal((await raw.result(101)).type, "QueryUpdated", "its number is free again");
  await raw.assertLives();
});

test("a query set of refused queries alone advances its version", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  for (let version = 1; version <= 3; version += 1) {
    const failed = await raw.result(raw.add("authAdapter:getUser"));
    assert.equal(failed.type, "QueryFailed");
    assert.equal(raw.socket.version.querySet, version);
  }
});

test("a component path is refused, the empty one too, and null is none", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  for (const componentPath of ["", "component", "a/b"]) {
    for (const path of ["authAdapter:getUser", "demo:whoami"]) {
      assert.equal(
        (await raw.result(raw.add(path, {}, { componentPath }))).type,
        "QueryFailed",
        `${path} in ${JSON.stringify(componentPath)}`,
      );
      for (const lane of ["Mutation", "Action"]) {
        assert.equal((await raw.call(lane, path, {}, { componentPath })).success, false, `${path} in ${JSON.stringify(componentPath)}`);
      }
    }
    const args = { id: visitor.userId, secret: proxy.secret };
    assert.equal((await raw.result(raw.add("authAdapter:getUser", args, { componentPath }))).type, "QueryFailed", "with the secret too");
  }
  assert.equal((await raw.result(raw.add("demo:whoami", {}, { componentPath: null }))).type, "QueryUpdated");
  assert.equal((await raw.call("Action", "demo:ping", {}, { componentPath: null })).result, "pong");
  await raw.assertLives();
});

test("a path that nobody can read is refused as the call's own error", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  for (const udfPath of UNREADABLE) {
    assert.equal((await raw.result(raw.add(udfPath))).type, "QueryFailed", udfPath);
    for (const lane of ["Mutation", "Action"]) assert.equal((await raw.call(lane, udfPath)).success, false, udfPath);
  }
  await raw.assertLives();
});

test("an administrator's token is refused and never reaches the deployment", async (t) => {
  const raw = await openConnected(t, proxy.publicUrl);
  raw.authenticate("prod:happy-otter-123|abc", { tokenType: "Admin" });
  const queryId = raw.add("demo:whoami");
  await raw.next("a refusal", ({ type }) => type === "AuthError" || type === "FatalError").catch(() => {});
  await raw.closed();
  const shown = raw.socket.received.flatMap(({ message }) => message.modifications ?? []).filter((one) => one.queryId === queryId);
  assert.ok(
    shown.every(({ value }) => value === null),
    "nobody was signed in by it",
  );
});

test("what is no message of a client ends the socket", async (t) => {
  const nonsense = [
    "hello",
    "[]",
    '["Mutation"]',
    "{}",
    '{"type":"Nonsense"}',
    '{"type":"mutation","requestId":0,"udfPath":"demo:ping","args":[{}]}',
    '{"type":"Mutation","requestId":0.5,"udfPath":"demo:send","args":[{}]}',
    '{"type":"Mutation","requestId":"0","udfPath":"demo:send","args":[{}]}',
    '{"type":"Mutation","requestId":0,"args":[{}]}',
    '{"type":"Mutation","requestId":0,"udfPath":"demo:send"}',
    '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}',
    '{"type":"Action","requestId":0,"udfPath":"demo:ping","args":[{}]} {}',
    '{"type":"Action","requestId":0,"udfPath":"demo:ping","args":[{}]',
    Buffer.from('{"type":"Action","requestId":0,"udfPath":"demo:ping","args":[{}]}'),
  ];
  for (const message of nonsense) {
    const raw = await openConnected(t, proxy.publicUrl);
    raw.socket.send(message);
    await raw.closed();
    assert.equal(raw.socket.of("ActionResponse").length, 0, `${message}`);
  }
});
