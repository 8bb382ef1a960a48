import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";

import { ConvexAuthProxyAdapter, type ConvexAuthProxyOptions } from "convex-auth-proxy-adapter";

import { answering, fakeProxy, json } from "./lib/fake-proxy.js";
import { rawServer } from "./lib/raw-server.js";
import { WAYS } from "./lib/ways.js";

const hasIpv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1");
const ok = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

for (const [way, options] of WAYS) {
  const adapterAt = (url: string, more: ConvexAuthProxyOptions = {}) => ConvexAuthProxyAdapter({ url, ...options, ...more });

  test(`a call has its host, its length, its type and its caller's token, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, answering({ getUser: null }));
    await adapterAt(`${proxy.url}/base`, { token: "caller" }).getUser("ü1");
    const { path, headers, body } = proxy.received[0]!;
    assert.deepEqual([path, body], ["POST /base/adapter/getUser", { id: "ü1" }]);
    const { host, authorization, "content-length": length, "content-type": type, "transfer-encoding": encoding } = headers;
    assert.deepEqual(
      [host, authorization, length, type, encoding],
      [new URL(proxy.url).host, "Bearer caller", "12", "application/json", undefined],
    );
  });

  test(`a path with characters that no head has goes out as a URL has it, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, answering({ getUser: null }));
    await adapterAt(`${proxy.url}/ü b`).getUser("1");
    assert.equal(proxy.received[0]!.path, "POST /%C3%BC%20b/adapter/getUser");
  });

  test(`an IPv6 address is a host, ${way}`, { skip: !hasIpv6 && "this machine has no IPv6" }, async (t) => {
    let head = "";
    const proxy = await rawServer(t, (socket) => void socket.write(ok("null")), "::1");
    proxy.server.on("connection", (socket) => socket.on("data", (chunk) => (head += chunk)));
    assert.equal(await adapterAt(proxy.url).getUser("1"), null);
    assert.ok(head.toLowerCase().includes(`\r\nhost: ${new URL(proxy.url).host}\r\n`), head);
  });

  test(`a name that has two addresses is tried at both, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, answering({ getUser: null }));
    assert.equal(await adapterAt(proxy.url.replace("127.0.0.1", "localhost")).getUser("1"), null);
  });

  test(`much text goes and comes whole, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, ({ body }, response) => json(response, 200, { id: body.id.slice(1) }));
    const text = "é€😀".repeat(100_000);
    assert.equal((await adapterAt(proxy.url).getUser(`x${text}`))?.id, text);
  });

  test(`an answer may come in parts that cut a character, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, (_, response) => {
      const bytes = Buffer.from('{"id":"😀"}');
      response.write(bytes.subarray(0, 9));
      setTimeout(() => response.end(bytes.subarray(9)), 20);
    });
    assert.equal((await adapterAt(proxy.url).getUser("1"))?.id, "😀");
  });

  test(`what comes before the answer is passed over, ${way}`, async (t) => {
    const proxy = await rawServer(t, (socket) => void socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok('{"id":"1"}')}`));
    assert.equal((await adapterAt(proxy.url).getUser("1"))?.id, "1");
  });

  test(`many at once get each its own answer, ${way}`, async (t) => {
    const proxy = await fakeProxy(t, ({ body }, response) => void setTimeout(() => json(response, 200, { id: body.id }), Number(body.id) % 7));
    const ids = Array.from({ length: 200 }, (_, index) => String(index));
    assert.deepEqual(await Promise.all(ids.map(async (id) => (await adapterAt(proxy.url).getUser(id))?.id)), ids);
  });
}
