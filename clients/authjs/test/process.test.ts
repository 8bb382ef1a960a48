import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { answering, fakeProxy, json } from "./lib/fake-proxy.js";
import { fullServer, rawServer } from "./lib/raw-server.js";

/** Runs a module in a process of its own, with the package's exports and `url` at hand. Gives what it printed, once it ended by itself. */
async function run(t: TestContext, url: string, script: string, { args = [] as string[], env = {} } = {}): Promise<string> {
  const module = `
    const { ConvexAuthProxyAdapter, convexToken } = await import(${JSON.stringify(import.meta.resolve("convex-auth-proxy-adapter"))});
    const url = ${JSON.stringify(url)};
    ${script}`;
  const child = spawn(process.execPath, [...args, "--input-type=module", "-e", module], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
  });
  t.after(() => child.kill("SIGKILL"));
  let [said, complaints] = ["", ""];
  child.stdout.on("data", (chunk) => (said += chunk));
  child.stderr.on("data", (chunk) => (complaints += chunk));
  const [code, signal] = await once(child, "close");
  assert.deepEqual([code, signal, complaints], [0, null, ""]);
  return said.trim();
}

test("a process ends by itself after queries, a mutation and calls that ran out of time", { timeout: 20_000 }, async (t) => {
  const proxy = await fakeProxy(t, ({ path }, response) => void (path.includes("getAccount") || json(response, 200, null)));
  const script = `
    const adapter = ConvexAuthProxyAdapter({ url });
    await Promise.all([adapter.getUser("1"), adapter.getUser("2"), adapter.deleteSession("1")]);
    await ConvexAuthProxyAdapter({ url, timeoutMs: 50 }).getAccount("1", "2").catch(({ code }) => console.log(code));
    await ConvexAuthProxyAdapter({ url: ${JSON.stringify(await fullServer(t))}, timeoutMs: 50 }).getUser("1").catch(({ code }) => console.log(code));
    const doneAt = performance.now();
    process.on("exit", () => console.log(performance.now() - doneAt < 500 ? "at once" : "late"));`;
  assert.equal(await run(t, proxy.url, script), "Timeout\nTimeout\nat once");
});

test("a proxy that the environment names is not used", async (t) => {
  const other = await fakeProxy(t, (_, response) => json(response, 200, { id: "other" }));
  const proxy = await fakeProxy(t, answering({ getUser: { id: "proxy" }, deleteSession: null }));
  const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
  const env = { NODE_USE_ENV_PROXY: "1", ...Object.fromEntries(names.map((name) => [name, other.url])) };
  const script = `
    const adapter = ConvexAuthProxyAdapter({ url });
    await adapter.deleteSession("1");
    console.log((await adapter.getUser("1")).id);`;
  assert.equal(await run(t, proxy.url, script, { env }), "proxy");
  assert.equal(other.received.length, 0);
});

test("memory does not grow with calls, whatever becomes of them", { timeout: 60_000 }, async (t) => {
  const proxy = await rawServer(t, (socket, nth) => {
    if (nth % 20 === 0) socket.resetAndDestroy();
    else if (nth % 20 === 1) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{");
    else if (nth % 20 !== 2) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull");
  });
  const script = `
    const adapter = ConvexAuthProxyAdapter({ url, timeoutMs: 20 });
    const some = async (count) => {
      let left = count;
      const codes = {};
      const one = async () => {
        while (left-- > 0) {
          const call = left % 10 === 0 ? adapter.deleteSession("1") : adapter.getUser("1");
          const code = await call.then(() => "ok", (error) => error.code);
          codes[code] = (codes[code] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: 16 }, one));
      await new Promise((resolve) => setTimeout(resolve, 50));
      gc();
      return { codes, used: process.memoryUsage().heapUsed };
    };
    const rounds = [];
    for (let count = 0; count < 9; count++) rounds.push(await some(1500));
    // The first is the warm-up. What a round leaves behind for a while differs, so the least of three counts.
    const least = (some) => Math.min(...some.map(({ used }) => used));
    const grown = (least(rounds.slice(6)) - least(rounds.slice(1, 4))) / (5 * 1500);
    console.log(JSON.stringify({ grown, codes: Object.keys(rounds[8].codes).sort() }));`;
  const { grown, codes } = JSON.parse(await run(t, proxy.url, script, { args: ["--expose-gc"] }));
  assert.deepEqual(codes, ["Timeout", "Unreachable", "ok"]);
  assert.ok(grown < 50, `${grown} bytes for each call`);
});

test("over TLS too a query is kept and a mutation is not, and a certificate has to be trusted and of that name", async (t) => {
  const pem = (name: string) => fileURLToPath(new URL(`../../../tests/e2e/tls/${name}.pem`, import.meta.url));
  const paths: string[] = [];
  let connections = 0;
  const server = createServer({ key: readFileSync(pem("localhost.key")), cert: readFileSync(pem("localhost")) }, (request, response) => {
    paths.push(`${request.headers.host} ${request.url} ${request.headers.connection}`);
    request.resume().on("end", () => response.end("null"));
  });
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const trusting = { env: { NODE_EXTRA_CA_CERTS: pem("authority") } };
  const script = `
    globalThis.fetch = () => console.log("fetched");
    const adapter = ConvexAuthProxyAdapter({ url });
    const code = (call) => call.then(() => "ok", (error) => error.message);
    console.log(await code(adapter.getUser("1")));
    console.log(await code(adapter.getUser("1")));
    console.log(await code(adapter.deleteSession("1")));`;
  assert.equal(await run(t, `https://localhost:${port}/base`, script, trusting), "ok\nok\nok");
  assert.deepEqual(
    paths.map((path) => path.replace(`localhost:${port} /base/adapter/`, "")),
    ["getUser keep-alive", "getUser keep-alive", "deleteSession close"],
  );
  assert.equal(connections, 2);
  const reason = /did not answer \(([A-Z_]+)\)/;
  const untrusted = (await run(t, `https://localhost:${port}`, script)).split("\n");
  assert.deepEqual(untrusted.map((line) => reason.exec(line)?.[1]), Array(3).fill("UNABLE_TO_VERIFY_LEAF_SIGNATURE"));
  const misnamed = (await run(t, `https://127.0.0.2:${port}`, script, trusting)).split("\n");
  assert.equal(paths.length, 3, "nothing was sent");
  assert.ok(misnamed.every((line) => /Unreachable|did not answer/.test(line)), misnamed.join());
});
