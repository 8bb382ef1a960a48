import "server-only";

import { convexToken, sessionTokenFrom } from "convex-auth-proxy-adapter";
import type { NextjsOptions } from "convex/nextjs";
import { cookies } from "next/headers";
import { cache } from "react";

import { auth } from "@/auth";

/** The session, read once per request however many components ask. Auth.js itself reads it anew for each `auth()`. */
export const currentSession = cache(() => auth());

/**
 * The signed-in user's token, `null` for nobody.
 *
 * @throws when the proxy cannot say. `auth()` answers that with `null`, as if nobody were signed in.
 */
export const currentToken = cache(async () => convexToken(sessionTokenFrom(await cookies())));

/** Options for `fetchQuery` and the like. */
export function convexAs(token: string | null): NextjsOptions {
  const url = process.env.CONVEX_PUBLIC_URL_ON_SERVER || process.env.NEXT_PUBLIC_CONVEX_URL;
  return { url, ...(token === null ? {} : { token }) };
}
