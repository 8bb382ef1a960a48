import type { Adapter } from "next-auth-4/adapters";
import { ConvexAuthProxyAdapter } from "convex-auth-proxy-adapter";

export const adapter: Adapter = ConvexAuthProxyAdapter();
// @ts-expect-error: that type is not just anything
export const wrong: Adapter = { createUser: 1 };
