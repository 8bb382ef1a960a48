import type { ConvexAuthProxyOptions } from "convex-auth-proxy-adapter";

/** How calls go over TCP: by Node's own client, or by `fetch` where one is given. What is promised of a call is promised of both. */
export const WAYS: [way: string, options: ConvexAuthProxyOptions][] = [
  ["by node:http", {}],
  ["by fetch", { fetch: (...args) => globalThis.fetch(...args) }],
];
