// What crosses the relay, seen from a deployment that records it: nothing that is not meant for it, and everything that is, untouched.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { connect } from "./lib/clients.mjs";
import { assertRefused } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { startServe, waitFor } from "./lib/proxy.mjs";
import { openRaw, upgrade } from "./lib/raw.mjs";
import { APP_ORIGIN, SESSION_COOKIE } from "./lib/seed.mjs";
import { scriptedDeployment } from "./lib/sync-upstream.mjs";

const deployment = await scriptedDeployment();
const environment = serveEnvironment(deployment.url);
const proxy = await startServe({ ...environment, CONVEX_AUTH_PROXY__SESSION__ORIGINS: APP_ORIGIN });
after(async () => {
  await proxy.stop();
  deployment.close();
});

deployment.sessions.set("ada-session", "users|ada");
const cookie = `${SESSION_COOKIE}=ada-session`;
const byCookie = { cookie, origin: APP_ORIGIN };

/** A raw socket through the proxy and the socket that the deployment has for it. */
async function relayed(t, options) {
  const before = deployment.sockets.length;
  const raw = await openRaw(t, proxy.publicUrl, options);
  await waitFor("the deployment has a socket for it", () => deployment.sockets.length > before);
  return { raw, upstream: deployment.sockets.at(-1) };
}

const subjectOf = ({ value }) => JSON.parse(Buffer.from(value.split(".")[1], "base64url")).sub;

test("the deployment has one socket for each of a client's, as soon as it is open", async (t) => {
  const before = deployment.sockets.length;
  const { raw, upstream } = await relayed(t);
  assert.equal(deployment.sockets.length, before + 1);
  assert.deepEqual(upstream.messages, [], "and nothing was said on it yet");
  raw.connect({ sessionId: "3e0f1f0e-7b0c-4a44-9d0a-6f1c5b1f7f10" });
  await waitFor("the client's word is there", () => upstream.messages.length > 0);
  assert.equal(upstream.messages[0].sessionId, "3e0f1f0e-7b0c-4a44-9d0a-6f1c5b1f7f10");
});

test("the version in the path and Convex-Client pass, credentials and forged addresses do not", async (t) => {
  const secret = environment.CONVEX_AUTH_ADAPTER_SECRET;
  for (const [version, target] of [
    ["1.48.0", "/api/1.48.0/sync"],
    ["1.0.2", "/api/1.0.2/sync"],
    ["", "/api/sync"],
  ]) {
    const { upstream } = await relayed(t, {
      version,
      headers: {
        ...byCookie,
        "convex-client": "rust-0.10.4",
        "x-forwarded-for": "203.0.113.9",
        forwarded: "for=203.0.113.9",
        x_forwarded_for: "203.0.113.9",
      },
    });
    assert.equal(upstream.target, target);
    const { headers } = upstream;
    assert.equal(headers["convex-client"], "rust-0.10.4");
    assert.equal(headers.host, new URL(deployment.url).host);
    for (const name of ["cookie", "authorization", "forwarded", "x_forwarded_for", "sec-websocket-extensions"])
      assert.equal(headers[name], undefined, name);
    const all = JSON.stringify(headers);
    for (const canary of ["ada-session", "203.0.113.9", secret]) assert.ok(!all.includes(canary), `${canary} in ${all}`);
  }
});

test("an upgrade with an administrator's key is refused, and no query string passes", async () => {
  const before = deployment.sockets.length;
  const key = "prod:happy-otter-123|abc";
  for (const [search, headers] of [
    ["", { authorization: `Convex ${key}` }],
    ["?adminKey=x", {}],
    ["?admin%4bey=x", {}],
  ]) {
    assertRefused(await upgrade(proxy.publicUrl, { search, headers }), 403, "AdminCredentialRefused");
  }
  assert.equal(deployment.sockets.length, before);
  assert.equal((await upgrade(proxy.publicUrl, { search: "?anything=else" })).status, 101);
  await waitFor("the deployment has a socket for it", () => deployment.sockets.length > before);
  assert.equal(deployment.sockets.at(-1).target, "/api/1.48.0/sync");
});

test("no compression is agreed on with a client that offers it", async (t) => {
  const { raw } = await relayed(t);
  assert.equal(raw.socket.extensions, "");
});

test("a cookie's user is said before the first query set, and the client's own word is renumbered", async (t) => {
  const { raw, upstream } = await relayed(t, { headers: byCookie });
  raw.connect();
  raw.add("demo:whoami");
  await raw.transition();
  const types = upstream.messages.map(({ type }) => type);
  assert.ok(types.indexOf("Authenticate") >= 0 && types.indexOf("Authenticate") < types.indexOf("ModifyQuerySet"), `${types}`);
  const [injected] = upstream.of("Authenticate");
  assert.equal(injected.tokenType, "User");
  assert.equal(injected.baseVersion, 0);
  assert.equal(subjectOf(injected), "users|ada");
  raw.authenticate();
  await raw.transition(({ endVersion }) => endVersion.identity === 1);
  assert.equal(upstream.of("Authenticate")[1].baseVersion, 1);
  assert.equal(upstream.of("Authenticate")[1].tokenType, "None");
  assert.deepEqual(raw.socket.gaps, []);
});

test("refused calls reach nobody, the query set's version does", async (t) => {
  const { raw, upstream } = await relayed(t);
  raw.connect();
  const refused = raw.add("authAdapter:getUser", { id: "x" });
  await raw.result(refused);
  raw.add("demo:whoami", {}, { componentPath: "" });
  raw.modify([{ type: "Remove", queryId: refused }]);
  await raw.call("Mutation", "authAdapter.js/.:deleteUser", { id: "x" });
  await raw.call("Action", "demo:ping", {}, { componentPath: "" });
  await raw.call("Action", "demo:ping");
  const sets = upstream.of("ModifyQuerySet");
  assert.deepEqual(
    sets.map(({ baseVersion, newVersion, modifications }) => [baseVersion, newVersion, modifications]),
    [
      [0, 1, []],
      [1, 2, []],
      [2, 3, []],
    ],
  );
  assert.equal(upstream.of("Mutation").length, 0);
  assert.equal(upstream.of("Action").length, 1);
  assert.deepEqual(raw.socket.gaps, []);
});

/** Messages that say one thing to a hasty reader and another to the deployment, where of two members of one name the last counts. */
const TWO_FACED = [
  `{"type":"Event","eventType":"x","event":1,REST,"type":"Mutation"}`,
  `{"type":"Connect","sessionId":"6ff4bad9-306e-4962-bf6d-c7dfc1a8e80a","connectionCount":0,REST,"type":"Mutation"}`,
  `{REST,"ty\\u0070e":"Mutation"}`,
  `{REST,"type":"Event","eventType":"x","event":1,"ty\\u0070e":"Mutation"}`,
  `{"type":"M\\u0075tation",REST}`,
  ` \n\t{ "type" : "Mutation" , REST } `,
  `\uFEFF{"type":"Mutation",REST}`,
  `{"type":"Mutation","requestId":0,"udfPath":"demo:send","args":[{}],"udfPath":"authAdapter:deleteUser"}`,
  `{"type":"Mutation","requestId":0,"udfPath":"authAdapter:deleteUser","args":[{}],"udfPath":"demo:send"}`,
  `{"type":"Mutation","requestId":0,"udfPath":"demo:send","args":[{}],"udf\\u0050ath":"authAdapter:deleteUser"}`,
  `{"type":"Mutation","requestId":0,"udfPath":"\\u0061uthAdapter\\u003adeleteUser","args":[{}]}`,
  `{"type":"Mutation","requestId":0,"udfPath":"demo:send","args":[{}],"componentPath":null,"componentPath":""}`,
  `{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Remove","queryId":1,"udfPath":"authAdapter:getUser","args":[{}],"type":"Add"}]}`,
  `{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[],"modifications":[{"type":"Add","queryId":1,"udfPath":"authAdapter:getUser","args":[{}]}]}`,
  `{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":1,"udfPath":"authAdapter:getUser","args":{"id":"x"}}]}`,
  `{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[["Add",1,"authAdapter:getUser",[{}],null,null]]}`,
  `{"type":"Authenticate","baseVersion":0,"tokenType":"None","tokenType":"Admin","value":"a key"}`,
  `{"type":"Authenticate","baseVersion":0,"tokenType":"Admin","value":"a key","acting_as":{"issuer":"a","subject":"b"}}`,
  `{"type":"Authenticate","baseVersion":0,"tokenType":"Admin","value":"a key","impersonating":{"issuer":"a","subject":"b"}}`,
].map((text) => text.replace("REST", '"requestId":0,"udfPath":"authAdapter:deleteUser","args":[{"id":"x"}]'));

test("no message of two faces carries an adapter call or a key past the policy", async (t) => {
  for (const text of TWO_FACED) {
    const { raw, upstream } = await relayed(t);
    raw.socket.send(text);
    // The call behind it is the proof that it was dealt with, unless it ended the socket.
    await raw.call("Action", "demo:ping").catch(() => raw.closed());
    const reached = upstream.messages.filter(
      (message) => JSON.stringify(message) !== '{"type":"Action","requestId":0,"udfPath":"demo:ping","args":[{}]}',
    );
    const isHarmless = ({ type, modifications }) => type === "ModifyQuerySet" && modifications.length === 0;
    assert.ok(reached.every(isHarmless), `${text}\nbecame\n${JSON.stringify(reached)}`);
  }
});

test("a function's name is written anew, whatever it was spelled like", async (t) => {
  const { raw, upstream } = await relayed(t);
  raw.connect();
  for (const udfPath of ["demo:whoami", "demo.js:whoami", "demo/:whoami", "demo//.:whoami", "demo.js/.:whoami"]) {
    assert.equal((await raw.result(raw.add(udfPath))).type, "QueryUpdated", udfPath);
  }
  const names = upstream.of("ModifyQuerySet").flatMap(({ modifications }) => modifications.map(({ udfPath }) => udfPath));
  assert.ok(
    names.every((name) => /^demo(\.js)?:whoami$/.test(name)),
    `${names}`,
  );
});

test("members that nobody knows do not reach the deployment, those of the deployment reach the client", async (t) => {
  const { raw, upstream } = await relayed(t);
  raw.connect();
  const add = { type: "Add", queryId: 0, udfPath: "demo:whoami", args: [{}], more: "of this" };
  raw.send({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [add], more: "of this" });
  raw.send({ type: "Authenticate", baseVersion: 0, tokenType: "None", more: "of this" });
  raw.send({ type: "Mutation", requestId: 89, udfPath: "demo:ping", args: [{}], more: "of this" });
  raw.send({ type: "Action", requestId: 90, udfPath: "demo:ping", args: [{}], more: "of this", adminKey: "x" });
  await raw.next("the answer", ({ requestId }) => requestId === 90);
  assert.equal(upstream.messages.length, 5);
  assert.ok(!JSON.stringify(upstream.messages).includes("of this"));
  upstream.send('{"type":"ActionResponse","requestId":91,"success":true,"result":null,"logLines":[],"later":{"a":[1.0]}}');
  assert.deepEqual((await raw.next("what the deployment adds", ({ requestId }) => requestId === 91)).later, { a: [1] });
});

test("values pass to the byte, both ways", async (t) => {
  const { raw, upstream } = await relayed(t, { headers: byCookie });
  const value =
    '{"a":-0.0,"b":9007199254740993,"c":1e-320,"d":0.1000000000000000055511151231257827,"e":"\\u00e9\\/\\ud83d\\ude00 é😀","f":{"$integer":"AAAAAAAAAIA="},"g":[1.0,1,1E5]}';
  raw.connect();
  raw.send(`{"type":"Mutation","requestId":0,"udfPath":"demo:nothing","args":[${value}]}`);
  const queryId = raw.add("demo:whoami");
  await raw.result(queryId);
  const arrived = upstream.texts.find((text) => text.includes('"Mutation"'));
  assert.ok(arrived.includes(value), arrived);
  const updated = `{"type":"QueryUpdated","queryId":${queryId},"value":${value},"logLines":["a line"],"journal":"a \\u006aournal"}`;
  const failed = `{"type":"QueryFailed","queryId":${queryId + 1},"errorMessage":"x","logLines":[],"journal":null,"errorData":null}`;
  upstream.transition(`[${updated},${failed}]`);
  const { text } = await waitFor("the transition", () => raw.socket.received.find(({ text }) => text.includes("a line")));
  for (const part of [value, '"journal":"a \\u006aournal"', '"errorData":null']) assert.ok(text.includes(part), text);
  assert.deepEqual(raw.socket.gaps, []);
});

test("a transition in chunks reaches a cookie's client whole and in its own numbers", async (t) => {
  deployment.isChunked = true;
  t.after(() => (deployment.isChunked = false));
  const client = connect(t, proxy.publicUrl, { headers: byCookie });
  const value = await client.query("demo:repeat", { text: "0123456789", times: 100_000 });
  assert.equal(value.length, 1_000_000);
  assert.equal((await client.query("demo:whoami")).subject, "users|ada");
  assert.equal(client.socket.version.identity, 0);
});

test("an answer of seventeen mebibytes passes, a client's frame of that size does not", async (t) => {
  const { raw, upstream } = await relayed(t);
  const result = "x".repeat(17 * 1024 * 1024);
  upstream.send({ type: "MutationResponse", requestId: 5, success: true, result, ts: "AQAAAAAAAAA=", logLines: [] });
  assert.equal((await raw.next("the answer", ({ requestId }) => requestId === 5)).result.length, result.length);
  raw.send({ type: "Mutation", requestId: 6, udfPath: "demo:send", args: [{ body: result }] });
  assert.equal((await raw.closed()).code, 1009);
  assert.equal(upstream.of("Mutation").length, 0);
});

test("a message in pieces is put together, up to 64 MiB in all", async (t) => {
  const { raw, upstream } = await relayed(t);
  const piece = "x".repeat(15 * 1024 * 1024);
  const sendPieces = (count) => {
    raw.socket.send('{"type":"Action","requestId":1,"udfPath":"demo:nothing","args":[{"x":"', { fin: false });
    for (let index = 0; index < count; index += 1) {
      raw.socket.send(piece, { fin: false });
      raw.socket.ping();
    }
    raw.socket.send('"}]}');
  };
  sendPieces(4);
  assert.equal((await raw.next("the answer", ({ requestId }) => requestId === 1)).success, false);
  assert.equal(upstream.of("Action")[0].args[0].x.length, 4 * piece.length);
  sendPieces(5);
  assert.equal((await raw.closed()).code, 1009);
  assert.equal(upstream.of("Action").length, 1);
});

test("messages keep their order, answers made here among them", async (t) => {
  const { raw, upstream } = await relayed(t, { headers: byCookie });
  raw.connect();
  const lanes = Array.from({ length: 100 }, (_, index) => (index % 3 === 0 ? "authAdapter:getUser" : "demo:send"));
  const answers = await Promise.all(lanes.map((udfPath, index) => raw.call("Mutation", udfPath, { body: `${index}` })));
  assert.deepEqual(
    answers.map(({ success }) => success),
    lanes.map((udfPath) => udfPath === "demo:send"),
  );
  const arrived = upstream.of("Mutation").map(({ args }) => args[0].body);
  assert.deepEqual(
    arrived,
    lanes.flatMap((udfPath, index) => (udfPath === "demo:send" ? [`${index}`] : [])),
  );
});

test("a Ping of the deployment is passed on at once, and pings of the frame layer are answered on each leg", async (t) => {
  const { raw, upstream } = await relayed(t);
  upstream.send({ type: "Ping" });
  await raw.next("a Ping", ({ type }) => type === "Ping");
  const pongs = [];
  raw.socket.on("pong", (data) => pongs.push(`client ${data}`));
  upstream.webSocket.on("pong", (data) => pongs.push(`deployment ${data}`));
  raw.socket.ping("one");
  upstream.webSocket.ping("two");
  await waitFor("both pongs", () => pongs.length === 2);
  assert.deepEqual(pongs.toSorted(), ["client one", "deployment two"]);
});

test("a client that leaves takes its socket at the deployment with it", async (t) => {
  const { raw, upstream } = await relayed(t);
  raw.socket.close(1000, "done");
  await raw.closed();
  await waitFor("the deployment's socket is closed", () => upstream.end);
  const { raw: gone, upstream: left } = await relayed(t);
  gone.socket.terminate();
  await waitFor("after a cut too", () => left.end);
});
