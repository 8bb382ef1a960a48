import assert from "node:assert/strict";
import { test } from "node:test";

import { useConvexConnectionState } from "convex/react";
import { ConvexAuthProxyProvider } from "convex-auth-proxy-adapter/react";
import { SessionProvider } from "next-auth/react";
import { renderToString } from "react-dom/server";

// No DOM is loaded here: this is what a server has.

function State() {
  return useConvexConnectionState().isWebSocketConnected ? "connected" : "not connected";
}

test("on a server no socket is opened, whatever a hook asks of the client", (t) => {
  // Convex's client waits a minute for a first word of its deployment, which would keep this process for as long.
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let opened = 0;
  class Counting {
    constructor() {
      opened++;
    }
    close() {}
  }
  Object.defineProperty(globalThis, "WebSocket", { value: Counting, configurable: true, writable: true });
  t.after(() => Reflect.deleteProperty(globalThis, "WebSocket"));
  const options = { logger: false as const, webSocketConstructor: Counting as unknown as typeof WebSocket };
  for (const given of [undefined, options]) {
    const page = (
      <SessionProvider session={null}>
        <ConvexAuthProxyProvider url="http://localhost:8080" options={given}>
          <State />
        </ConvexAuthProxyProvider>
      </SessionProvider>
    );
    assert.equal(renderToString(page), "not connected");
  }
  assert.equal(opened, 0);
});
