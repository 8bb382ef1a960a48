"use client";

export { createConvexAuthProxyHook, useConvexAuthProxy } from "./react/hook.js";
export type { ConvexAuthProxyAuth } from "./react/hook.js";
export { ConvexAuthProxyProvider } from "./react/provider.js";
export type { ConvexAuthProxyProviderProps } from "./react/provider.js";
