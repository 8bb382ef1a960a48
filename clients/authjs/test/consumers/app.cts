import proxy = require("convex-auth-proxy-adapter");
import react = require("convex-auth-proxy-adapter/react");
import type { Adapter } from "@auth/core/adapters" with { "resolution-mode": "import" };

const adapter: Adapter = proxy.ConvexAuthProxyAdapter({ socketPath: "/run/proxy.sock" });
const token: Promise<string | null> = proxy.convexToken(proxy.sessionTokenFrom("a=b"));
const isLoading = (): boolean => react.useConvexAuthProxy().isLoading;

// @ts-expect-error: a slip in an option's name is found
proxy.ConvexAuthProxyAdapter({ uri: "http://localhost" });

export = { adapter, token, isLoading };
