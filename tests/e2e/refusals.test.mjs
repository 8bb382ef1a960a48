// What is refused, and that nothing of it reaches the deployment: here a recorder that answers everything with null.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";

import { assertRefused, call, refusalOf, send, sendRaw } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { startServe } from "./lib/proxy.mjs";
import { SPELLINGS } from "./lib/spellings.mjs";
import { recordingUpstream } from "./lib/upstream.mjs";

const SECRET = "the adapter secret of this deployment";
const upstream = await recordingUpstream();
const environment = { ...serveEnvironment(upstream.url), CONVEX_AUTH_ADAPTER_SECRET: SECRET };
const proxy = await startServe(environment);
after(async () => {
  await proxy.stop();
  upstream.close();
});
beforeEach(() => void upstream.requests.splice(0));

const JSON_TYPE = { "content-type": "application/json" };
const nothingArrived = () => assert.deepEqual(upstream.requests.map(({ target, body }) => [target, body]), []);
const DEFAULT_EXPORTS = ["authAdapter", "authAdapter.js", "authAdapter/", "authAdapter:default"];

test("without the secret no spelling of an adapter function passes, whatever the client calls it by", async () => {
  const client = new ConvexHttpClient(proxy.publicUrl);
  for (const spelling of [...SPELLINGS, ...DEFAULT_EXPORTS, "authAdapter:notOfTheContract"]) {
    const reference = makeFunctionReference(spelling);
    for (const lane of ["query", "mutation", "action"]) {
      const refusal = await refusalOf(client[lane](reference, { id: "x" }));
      assert.equal(refusal.code, "AdapterForbidden", `${lane} ${spelling}`);
    }
  }
  nothingArrived();
});

test("query_at_ts and every item of query_batch are held to the same", async () => {
  const denied = SPELLINGS.map((path) => ({ path, args: {} }));
  for (const item of denied) {
    const atTimestamp = { ...item, ts: "AAAAAAAAAAA=" };
    assertRefused(await send(`${proxy.publicUrl}/api/query_at_ts`, { body: atTimestamp }), 403, "AdapterForbidden");
    const queries = [{ path: "demo:list", args: {} }, item];
    assertRefused(await send(`${proxy.publicUrl}/api/query_batch`, { body: { queries } }), 403, "AdapterForbidden");
  }
  nothingArrived();
});

test("with the secret every spelling passes, and the deployment sees the plain one", async () => {
  const { length } = SPELLINGS;
  for (const path of SPELLINGS) {
    const answered = await call(proxy.publicUrl, "query", path, { id: "x", secret: SECRET });
    assert.equal(answered.json.status, "success", answered.text);
  }
  const seen = upstream.requests.map(({ body }) => JSON.parse(body));
  assert.equal(seen.length, length);
  for (const { path, args } of seen) {
    assert.equal(path, "authAdapter:getUser");
    assert.deepEqual(args, [{ id: "x", secret: SECRET }]);
  }
});

test("what is no function path is refused, and other modules are not the adapter's", async () => {
  for (const path of [
    "/authAdapter:getUser", "./authAdapter:getUser", "x/../authAdapter:getUser", "authAdapter::getUser", "authAdapter:",
    "authAdapter:getUser/", " authAdapter:getUser", "ａuthAdapter:getUser", "authAdapter%3AgetUser", "authAdapter.ts:getUser", "",
  ]) {
    assertRefused(await call(proxy.publicUrl, "query", path, { id: "x" }), 400, "InvalidFunctionPath");
  }
  nothingArrived();
  for (const path of ["AuthAdapter:getUser", "authAdapter/getUser", "x/authAdapter:getUser"]) {
    assert.equal((await call(proxy.publicUrl, "query", path, { id: "x" })).status, 200, path);
  }
  assert.equal(upstream.requests.length, 3);
});

test("routes that are not listed do not exist", async () => {
  const targets = [
    ["POST", "/api/run/authAdapter/getUser"], ["POST", "/api/run/demo/whoami"], ["POST", "/api/run/%2561uthAdapter/getUser"],
    ["POST", "/api/function"], ["POST", "/api/run_test_function"], ["POST", "/api/actions/query"], ["POST", "/api/storage/upload"],
    ["GET", "/http/x"], ["GET", "/version"], ["GET", "/"], ["GET", "/metrics"], ["POST", "/echo"], ["POST", "/adapter/createUser"],
    ["POST", "/api/%71uery"], ["POST", "//api/query"], ["POST", "/api//query"], ["POST", "/api/query/"], ["POST", "/API/query"],
    ["POST", "/api/x/../query"], ["GET", "/api/query?path=demo:whoami&args={}"], ["HEAD", "/api/query"], ["PUT", "/api/query"],
  ];
  for (const [method, target] of targets) {
    const body = method === "POST" || method === "PUT" ? JSON.stringify({ path: "demo:whoami", args: {} }) : "";
    const answered = await sendRaw(proxy.ports.public, [`${method} ${target} HTTP/1.1`, "Host: localhost", "Content-Type: application/json"], body);
    assert.equal(answered.status, 404, `${method} ${target}`);
    if (method !== "HEAD") assert.equal(answered.json.code, "NotFound");
  }
  const absolute = [`POST http://${new URL(upstream.url).host}/api/query HTTP/1.1`, "Host: localhost", "Content-Type: application/json"];
  assert.equal((await sendRaw(proxy.ports.public, absolute, '{"path":"demo:whoami","args":{}}')).status, 404);
  nothingArrived();
});

test("a body that is not one JSON object with each known member once is refused", async () => {
  const bodies = {
    query: [
      '["authAdapter:getUser",{},null]', '["demo:whoami",{},null]', "null", '"demo:whoami"', "7", "", "{", '{"path":"demo:whoami"}',
      '{"path":"demo:whoami","path":"authAdapter:getUser","args":{}}', '{"path":"demo:whoami","args":{},"args":{}}',
      '{"path":"demo:whoami","\\u0070ath":"authAdapter:getUser","args":{}}', '{"path":7,"args":{}}',
      '{"path":"demo:whoami","args":{}} x', '\ufeff{"path":"demo:whoami","args":{}}', '{"path":"demo:whoami","args":{},}',
      '{"path":"demo:whoami","args":{},"componentPath":""}', Buffer.from([...Buffer.from('{"path":"demo:whoami","args":{"a":"'), 0xff, ...Buffer.from('"}}')]),
    ],
    query_at_ts: ['["demo:whoami",{},"AAAAAAAAAAA=",null]'],
    query_batch: ['[[["authAdapter:getUser",{},null]]]', '{"queries":[["authAdapter:getUser",{},null]]}', '{"queries":[],"queries":[]}'],
  };
  for (const [lane, texts] of Object.entries(bodies)) {
    for (const text of texts) {
      const answered = await send(`${proxy.publicUrl}/api/${lane}`, { method: "POST", headers: JSON_TYPE, body: text });
      assertRefused(answered, 400, "BadJsonBody");
    }
  }
  nothingArrived();
});

test("the members of the arguments that decide are there once", async () => {
  const twice = `{"path":"authAdapter:getUser","args":[{"id":"x","secret":"${SECRET}","secret":"wrong"}]}`;
  assertRefused(await send(`${proxy.publicUrl}/api/query`, { headers: JSON_TYPE, body: twice }), 403, "AdapterForbidden");
  nothingArrived();
  const same = `{"path":"authAdapter:getUser","args":[{"secret":"${SECRET}","id":"x","\\u0073ecret":"${SECRET}"}]}`;
  assert.equal((await send(`${proxy.publicUrl}/api/query`, { headers: JSON_TYPE, body: same })).status, 200);
  const [{ body }] = upstream.requests;
  assert.equal(body.split(SECRET).length - 1, 1, "one secret arrived");
  assert.ok(!body.includes("\\u0073"), "under its plain name");
});

test("compressed bodies and bodies of another type are refused", async () => {
  const body = JSON.stringify({ path: "demo:whoami", args: {} });
  const url = `${proxy.publicUrl}/api/query`;
  assertRefused(await send(url, { body: gzipSync(body), headers: { ...JSON_TYPE, "content-encoding": "gzip" } }), 415, "ContentEncodingRefused");
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"]) {
    assertRefused(await send(url, { body, headers: { "content-type": type } }), 415, "ContentTypeNotJson");
  }
  assertRefused(await send(url, { body }), 415, "ContentTypeNotJson");
  nothingArrived();
});

test("admin credentials are refused in each of their forms", async () => {
  const body = { path: "demo:whoami", args: {} };
  for (const query of ["?adminKey=key", "?admin%4bey=key", "?a=1&%61dminKey=key"]) {
    assertRefused(await send(`${proxy.publicUrl}/api/query${query}`, { body }), 403, "AdminCredentialRefused");
  }
  for (const authorization of ["Convex key", "convex key", "CONVEX prod:name|key"]) {
    assertRefused(await call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization }), 403, "AdminCredentialRefused");
  }
  for (const authorization of ["Basic eDp5", "Bearer", "token"]) {
    assertRefused(await call(proxy.publicUrl, "query", "demo:whoami", {}, { authorization }), 401, "InvalidAuthHeader");
  }
  nothingArrived();
});

test("two Authorization headers are refused", async () => {
  for (const pair of [["Bearer a", "Bearer b"], ["Bearer a", "Convex key"], ["Bearer a", "Bearer a"]]) {
    const head = ["POST /api/query HTTP/1.1", "Host: localhost", "Content-Type: application/json", ...pair.map((value) => `Authorization: ${value}`)];
    assertRefused(await sendRaw(proxy.ports.public, head, '{"path":"demo:whoami","args":{}}'), 401, "InvalidAuthHeader");
  }
  nothingArrived();
});

test("a malformed Convex-Client is refused", async () => {
  assertRefused(await call(proxy.publicUrl, "query", "demo:whoami", {}, { "convex-client": "npm" }), 400, "InvalidClientVersion");
  nothingArrived();
});

test("what a caller says of itself does not cross", async () => {
  const headers = {
    "x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "gopher", "x-forwarded-host": "evil.example", forwarded: "for=6.6.6.6",
    cookie: "authjs.session-token=; other=1", authorization_: "x", x_forwarded_for: "6.6.6.6", "convex-client": "npm-1.48.0",
  };
  const answered = await call(proxy.publicUrl, "mutation", "demo:send", { body: "x" }, headers);
  assert.equal(answered.status, 200, answered.text);
  const [seen] = upstream.requests;
  assert.equal(seen.target, "/api/mutation");
  assert.equal(seen.headers["convex-client"], "npm-1.48.0");
  assert.equal(seen.headers.host, new URL(upstream.url).host);
  for (const name of ["cookie", "forwarded", "x-forwarded-host", "authorization", "authorization_", "x_forwarded_for"]) {
    assert.equal(seen.headers[name], undefined, name);
  }
  assert.ok(!seen.rawHeaders.join("\n").includes("6.6.6.6") && !seen.rawHeaders.join("\n").includes("gopher"), "no forwarded value crossed");
});

test("the adapter and admin listeners are not for browsers", async () => {
  const { adapterUrl, adminUrl } = proxy;
  const body = { path: "demo:whoami", args: {} };
  for (const headers of [{ origin: "http://localhost:3000" }, { "sec-fetch-site": "same-origin" }, { "sec-fetch-site": "none" }]) {
    assertRefused(await send(`${adapterUrl}/api/query`, { body, headers }), 403, "BrowserRefused");
    assertRefused(await send(`${adminUrl}/metrics`, { headers }), 403, "BrowserRefused");
  }
  for (const host of ["evil.example", `evil.example:${proxy.ports.adapter}`, "localhost.evil.example"]) {
    assertRefused(await send(`${adapterUrl}/api/query`, { body, headers: { host } }), 403, "HostRefused");
    assertRefused(await send(`${adminUrl}/readyz`, { headers: { host } }), 403, "HostRefused");
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    const form = { body: JSON.stringify(body), headers: { "content-type": type } };
    assertRefused(await send(`${adapterUrl}/api/query`, form), 415, "ContentTypeNotJson");
    assertRefused(await send(`${adapterUrl}/auth/token`, form), 415, "ContentTypeNotJson");
  }
  assert.equal((await send(`${adapterUrl}/api/query`, { method: "OPTIONS" })).status, 404);
  nothingArrived();
  assert.equal((await send(`${adapterUrl}/api/query`, { body, headers: { "sec-fetch-mode": "cors" } })).status, 200);
});

test("the adapter listener adds the secret, and takes no wrong one", async () => {
  const getUser = (args) => call(proxy.adapterUrl, "query", "authAdapter:getUser", args);
  assert.equal((await getUser({ id: "x" })).status, 200);
  assert.equal((await getUser({ id: "x", secret: SECRET })).status, 200);
  assert.equal((await getUser({ id: "x", secret: null })).status, 200);
  for (const { body } of upstream.requests) assert.deepEqual(JSON.parse(body).args, [{ id: "x", secret: SECRET }]);
  const { length } = upstream.requests;
  assertRefused(await getUser({ id: "x", secret: "wrong" }), 403, "AdapterForbidden");
  assert.equal(upstream.requests.length, length);
  await call(proxy.adapterUrl, "query", "demo:whoami", {});
  assert.ok(!upstream.requests.at(-1).body.includes(SECRET), "other functions never see it");
});

test("a body that is too large is refused", async () => {
  const body = `{"path":"demo:whoami","args":{"a":"${"x".repeat(16 * 1024 * 1024 + 2_000)}"}}`;
  const answered = await send(`${proxy.publicUrl}/api/query`, { body, headers: JSON_TYPE }).catch((error) => error);
  // The answer may be overtaken by the end of the connection while the client is still sending.
  if (answered instanceof Error) assert.match(answered.code, /EPIPE|ECONNRESET/);
  else assertRefused(answered, 413, "BodyTooLarge");
  nothingArrived();
});

test("header lines that are too large are refused", async () => {
  const answered = await call(proxy.publicUrl, "query", "demo:whoami", {}, { cookie: `x=${"y".repeat(40_000)}` });
  assert.equal(answered.status, 431);
  nothingArrived();
});

test("adapter.on_public = deny refuses the right secret too, on the public listener", async () => {
  const strict = await startServe({ ...environment, CONVEX_AUTH_PROXY__ADAPTER__ON_PUBLIC: "deny" });
  assertRefused(await call(strict.publicUrl, "query", "authAdapter:getUser", { id: "x", secret: SECRET }), 403, "AdapterForbidden");
  nothingArrived();
  assert.equal((await call(strict.adapterUrl, "query", "authAdapter:getUser", { id: "x" })).status, 200);
  await strict.stop();
});

test("after twenty wrong secrets in a minute further ones are told to wait, and a right one passes", async () => {
  const limited = await startServe(environment);
  const knock = (secret) => call(limited.publicUrl, "query", "authAdapter:getUser", { id: "x", secret });
  for (let attempt = 0; attempt < 20; attempt += 1) assertRefused(await knock(`wrong ${attempt}`), 403, "AdapterForbidden");
  const throttled = await knock("wrong again");
  assertRefused(throttled, 429, "AdapterThrottled");
  assert.ok(Number(throttled.headers["retry-after"]) > 0);
  nothingArrived();
  assert.equal((await knock(SECRET)).status, 200);
  await limited.stop();
  assert.ok(!limited.stderr.includes(SECRET) && !limited.stderr.includes("wrong 1"));
});
