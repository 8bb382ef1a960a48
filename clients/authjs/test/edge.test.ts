import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

import { ConvexAuthProxyAdapter } from "convex-auth-proxy-adapter";
import { build } from "esbuild";

/** A `fetch` that notes its calls and answers 200 `null`. */
function noting() {
  const calls: [string, RequestInit][] = [];
  const fetch = async (url: unknown, init?: RequestInit) => {
    calls.push([String(url), init ?? {}]);
    return new Response("null");
  };
  return { calls, fetch: fetch as typeof globalThis.fetch };
}

test("a given fetch wins over the global one, and is told neither to cache nor to follow", async () => {
  const { calls, fetch } = noting();
  await ConvexAuthProxyAdapter({ url: "https://adapter.example.com/p", token: "caller", fetch }).getUser("1");
  const [url, init] = calls[0]!;
  assert.equal(url, "https://adapter.example.com/p/adapter/getUser");
  const { method, cache, redirect, headers, body } = init;
  assert.deepEqual({ method, cache, redirect, headers, body }, {
    method: "POST",
    cache: "no-store",
    redirect: "manual",
    headers: { "content-type": "application/json", authorization: "Bearer caller" },
    body: '{"id":"1"}',
  });
});

test("bundled for a browser or an edge runtime it asks for no module, and runs without `process`", async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: 'export { ConvexAuthProxyAdapter } from "convex-auth-proxy-adapter";',
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
    },
    bundle: true,
    write: false,
    platform: "browser",
    format: "iife",
    globalName: "bundle",
    logLevel: "silent",
  });
  const { text } = outputFiles[0]!;
  assert.doesNotMatch(text, /\brequire\(|\bimport\(/);

  const { calls, fetch } = noting();
  // What such a runtime has, and no more. Its `Request` refuses `cache`, as older ones do.
  class Request {
    constructor(_: string, init: RequestInit) {
      if ("cache" in init) throw new Error("The 'cache' field on 'RequestInitializerDict' is not implemented.");
    }
  }
  const context = vm.createContext({ fetch, Request, URL, AbortController, DOMException, setTimeout, clearTimeout });
  const script = `${text}
    const at = (options) => bundle.ConvexAuthProxyAdapter({ url: "https://adapter.example.com", ...options });
    const codeOf = (call) => call.then(() => "none", (error) => error.code);
    (async () => [
      await at().useVerificationToken({ token: "t" }),
      await codeOf(at().updateUser({ id: "1", emailVerified: new Date(NaN) })),
      await codeOf(at({ url: undefined }).getUser("1")),
      await codeOf(at({ socketPath: "/run/proxy.sock" }).getUser("1")),
    ].join())()`;
  assert.equal(await vm.runInContext(script, context), ",AdapterArgumentInvalid,ConfigurationInvalid,ConfigurationInvalid");
  assert.deepEqual([calls.length, "cache" in calls[0]![1], calls[0]![1].body], [1, false, '{"identifier":null,"token":"t"}']);
});
