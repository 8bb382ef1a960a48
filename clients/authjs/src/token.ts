import { call } from "./call.js";
import { ConvexAuthProxyError } from "./error.js";
import type { ConvexAuthProxyOptions } from "./options.js";

export interface ConvexTokenOptions extends ConvexAuthProxyOptions {
  /** Asks for a token that was never given before. Default: false. */
  forceRefresh?: boolean | undefined;
}

/**
 * The Convex token of a session, for `fetchQuery`, `preloadQuery` and the like on the app's server.
 *
 * `null` without a `sessionToken`, and when there is no live session of that token. Every other failure throws a `ConvexAuthProxyError`.
 */
export async function convexToken(
  sessionToken: string | null | undefined,
  options: ConvexTokenOptions = {},
): Promise<string | null> {
  if (!sessionToken) return null;
  const method = "convexToken";
  const body = { sessionToken, ...(options.forceRefresh === true ? { forceRefresh: true } : {}) };
  let answer: unknown;
  try {
    answer = await call(options, { method, path: "auth/token", kind: "query", body });
  } catch (error) {
    if (error instanceof ConvexAuthProxyError && error.status === 401 && error.code === "NoSession") return null;
    throw error;
  }
  const token = (answer as { token?: unknown } | null)?.token;
  if (typeof token !== "string" || token === "") {
    throw new ConvexAuthProxyError({ code: "Unreadable", method, status: 200, message: "the answer has no token" });
  }
  return token;
}
