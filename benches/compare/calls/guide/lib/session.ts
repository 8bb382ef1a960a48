import "server-only";

import type { NextjsOptions } from "convex/nextjs";
import type { Session } from "next-auth";
import { cache } from "react";

import { auth } from "@/auth";

/** "once": as in the example, once per request. Anything else: for each who asks, as the guide shows it. */
const isReadOnce = process.env.SESSION_READS === "once";

const readOnce = cache(() => auth());
const request = cache((): { latest?: Promise<Session | null> } => ({}));

export function currentSession(): Promise<Session | null> {
  return (request().latest = isReadOnce ? readOnce() : auth());
}

/** From the session that the page has read, which the example's page does first: no read of its own. */
export async function currentToken(): Promise<string | null> {
  const session = await (request().latest ?? currentSession());
  return session?.convexToken ?? null;
}

/** Options for `fetchQuery` and the like. */
export function convexAs(token: string | null): NextjsOptions {
  return token === null ? {} : { token };
}
