// The program as an operator meets it: what it prints, how it starts, fails and ends.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";

import { call, send } from "./lib/http.mjs";
import { serveEnvironment } from "./lib/keys.mjs";
import { freePorts, runToEnd, startDev, startServe, waitFor } from "./lib/proxy.mjs";
import { stallingUpstream } from "./lib/upstream.mjs";

const run = promisify(execFile);
const hasCurl = await run("curl", ["--version"]).then(() => true, () => false);

test("every curl line that dev prints works when it is pasted", { skip: hasCurl ? false : "there is no curl" }, async () => {
  const proxy = await startDev();
  const lines = proxy.curlLines;
  assert.ok(lines.length >= 12, `${lines.length} lines`);
  for (const { what, line } of lines) {
    const { stdout, stderr } = await run("bash", ["-c", line]);
    assert.equal(stderr, "", what);
    if (/refused/.test(what)) assert.match(stdout, /"code":"AdapterForbidden"/, what);
    else assert.ok(stdout.length > 0 && !stdout.includes('"code":') && !stdout.includes('"status":"error"'), `${what}: ${stdout}`);
  }
  const said = async (label) => (await run("bash", ["-c", lines.find(({ what }) => what.includes(label)).line])).stdout;
  assert.equal(JSON.parse(await said("nobody")).value, null);
  assert.equal(typeof JSON.parse(await said("with the session cookie")).value.subject, "string");
  const messages = JSON.parse(await said("read the messages")).value;
  assert.ok(messages.some(({ body, author }) => body === "hello" && author === "Ada Lovelace"));
  assert.ok(JSON.parse(await said("a Convex token for the cookie")).token.split(".").length === 3);
  assert.equal(await said("sign out of another session"), "null", "that session has ended already");
  assert.ok(JSON.parse(await said("function of the deployment"))["authAdapter:createUser"] >= 2, "Ada's and Grace's");
  assert.match(await said("what has it done"), /convex_auth_proxy_requests_total/);
  await proxy.stop();
});

test("dev prints what the app must know, and it is so", async () => {
  const proxy = await startDev();
  assert.equal(proxy.printed("NEXT_PUBLIC_CONVEX_URL"), proxy.publicUrl);
  assert.equal(proxy.printed("CONVEX_ADAPTER_URL"), proxy.adapterUrl);
  const args = { sessionToken: "x", secret: proxy.printed("CONVEX_AUTH_ADAPTER_SECRET") };
  assert.equal((await call(proxy.publicUrl, "query", "authAdapter:getSessionAndUser", args)).json.value, null);
  await proxy.stop();
  await assert.rejects(send(`${proxy.publicUrl}/api/query`), /ECONNREFUSED/);
});

test("two runs of dev have different secrets and keys", async () => {
  const [one, other] = [await startDev(), await startDev()];
  assert.notEqual(one.secret, other.secret);
  const set = async (proxy) => (await send(`${proxy.publicUrl}/.well-known/jwks.json`)).text;
  assert.notEqual(await set(one), await set(other));
  await Promise.all([one.stop(), other.stop()]);
});

test("a configuration is refused with all its problems at once, exit code 2, and no secret", async () => {
  const canaries = ["canary-pem-5d1c", "canary-jwks-77ab", "canary-token-0f"];
  const { code, stdout, stderr } = await runToEnd(["serve"], {
    CONVEX_URL: "ftp://deployment.example",
    CONVEX_AUTH_PRIVATE_KEY: canaries[0],
    JWKS: canaries[1],
    CONVEX_AUTH_PROXY__ADAPTER__TOKENS: canaries[2],
    CONVEX_AUTH_PROXY__LISTEN__PUBLIC: "somewhere",
    CONVEX_AUTH_PROXY__LISTEN__BASE_PATH: "convex/",
    CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "3600",
    CONVEX_AUTH_PROXY__SESSION__ORIGINS: "https://app.example/,*",
    CONVEX_AUTH_PROXY__LIMITS__BODY_BYTES: "lots",
    CONVEX_AUTH_PROXY__LISTEN__PUBLICK: "127.0.0.1:1",
    CONVEX_AUTH_PROXY__LOG__FORMAT: "xml",
  });
  assert.equal(code, 2);
  assert.equal(stdout, "");
  for (const key of [
    "upstream.url", "token.private_key", "adapter.tokens", "adapter.secret", "listen.public", "listen.base_path", "token.lifetime",
    "session.origins", "limits.body_bytes", "CONVEX_AUTH_PROXY__LISTEN__PUBLICK", "log.format",
  ]) {
    assert.ok(stderr.includes(key), `${key} is not named in\n${stderr}`);
  }
  for (const canary of canaries) assert.ok(!stderr.includes(canary), `${canary} is shown in\n${stderr}`);
});

test("serve without anything says what it needs", async () => {
  const { code, stdout, stderr } = await runToEnd(["serve"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  for (const key of ["upstream.url", "adapter.secret", "token.private_key"]) assert.ok(stderr.includes(key), stderr);
  for (const name of ["CONVEX_URL", "CONVEX_AUTH_ADAPTER_SECRET", "CONVEX_AUTH_PRIVATE_KEY"]) assert.ok(stderr.includes(name), stderr);
});

test("an adapter listener that other machines reach needs tokens", async () => {
  const environment = serveEnvironment("http://127.0.0.1:9");
  const { code, stderr } = await runToEnd(["serve"], { ...environment, CONVEX_AUTH_PROXY__LISTEN__ADAPTER: "0.0.0.0:8081" });
  assert.equal(code, 2);
  assert.match(stderr, /listen\.adapter[\s\S]*adapter\.tokens/);
});

test("a wrong command line is exit code 2, help and version are 0", async () => {
  assert.equal((await runToEnd(["sreve"])).code, 2);
  assert.equal((await runToEnd(["serve", "--config"])).code, 2);
  for (const flag of ["--help", "--version"]) {
    const { code, stdout, stderr } = await runToEnd([flag]);
    assert.equal(code, 0);
    assert.match(stdout, /convex-auth-proxy/);
    assert.equal(stderr, "");
  }
});

test("a file that is named and not there is an error of the configuration", async () => {
  const { code, stderr } = await runToEnd(["dev", "--config", "/nowhere/config.toml"]);
  assert.equal(code, 2);
  assert.match(stderr, /\/nowhere\/config\.toml/);
});

for (const key of ["listen.public", "listen.adapter", "listen.admin", "dev.listen"]) {
  test(`a port that is taken is told by its key: ${key}`, async () => {
    const taken = createServer();
    await once(taken.listen(0, "127.0.0.1"), "listening");
    const keys = ["listen.public", "listen.adapter", "listen.admin", "dev.listen"];
    const ports = await freePorts(keys.length);
    const name = (key) => `CONVEX_AUTH_PROXY__${key.toUpperCase().replace(".", "__")}`;
    const env = Object.fromEntries(keys.map((key, index) => [name(key), `127.0.0.1:${ports[index]}`]));
    env[name(key)] = `127.0.0.1:${taken.address().port}`;
    const { code, stdout, stderr } = await runToEnd(["dev"], env);
    taken.close();
    assert.equal(code, 1);
    assert.equal(stdout, "", "it promises nothing that it cannot hold");
    assert.ok(stderr.includes(key), stderr);
    assert.ok(stderr.includes(name(key)), `it says how to choose another one:\n${stderr}`);
    for (const other of keys.filter((other) => other !== key)) assert.ok(!stderr.includes(`${other} =`), stderr);
  });
}

test("SIGTERM lets what is in flight end, takes nothing new, and ends with 0", async () => {
  const upstream = await stallingUpstream();
  const proxy = await startServe(serveEnvironment(upstream.url), { isReady: false });
  const idle = new Array(3).fill().map(() => fetch(`${proxy.publicUrl}/.well-known/jwks.json`).then((answer) => answer.text()));
  await Promise.all(idle);
  upstream.waiting.splice(0);
  const asked = call(proxy.publicUrl, "mutation", "demo:send", { body: "x" });
  await waitFor("the call is at the deployment", () => upstream.requests.some(({ target }) => target === "/api/mutation"));
  proxy.child.process.kill("SIGTERM");
  await waitFor("no new connection is taken", () => send(`${proxy.publicUrl}/.well-known/jwks.json`).then(() => false, () => true));
  assert.equal(proxy.child.process.exitCode, null, "it waits for the call");
  upstream.release();
  const answered = await asked;
  assert.equal(answered.status, 200);
  assert.equal(answered.json.value, "late");
  await proxy.child.ended;
  assert.equal(proxy.child.process.exitCode, 0, proxy.stderr);
  upstream.close();
});

test("SIGINT ends it with 0 too, at once when nothing is in flight", async () => {
  const proxy = await startDev();
  await fetch(`${proxy.publicUrl}/.well-known/jwks.json`).then((answer) => answer.text());
  const started = performance.now();
  proxy.child.process.kill("SIGINT");
  await waitFor("it ends", () => proxy.child.process.exitCode !== null, 5_000);
  assert.equal(proxy.child.process.exitCode, 0);
  assert.ok(performance.now() - started < 2_000, "an idle connection is not waited for");
});

test("every answer carries the id of its request", async () => {
  const proxy = await startDev();
  const answered = await call(proxy.publicUrl, "query", "demo:whoami");
  const id = answered.headers["x-request-id"];
  assert.ok(id?.length >= 8);
  assert.notEqual((await call(proxy.publicUrl, "query", "demo:whoami")).headers["x-request-id"], id);
  await waitFor("the log names it", () => proxy.stderr.includes(id));
  await proxy.stop();
});
