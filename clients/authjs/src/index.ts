export { ConvexAuthProxyAdapter } from "./adapter.js";
export { sessionTokenFrom } from "./cookies.js";
export { ConvexAuthProxyError } from "./error.js";
export type { ConvexAuthProxyOptions } from "./options.js";
export { convexToken } from "./token.js";
export type { ConvexTokenOptions } from "./token.js";
