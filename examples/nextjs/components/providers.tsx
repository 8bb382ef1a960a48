"use client";

import { ConvexAuthProxyProvider } from "convex-auth-proxy-adapter/react";
import type { Session } from "next-auth";
import { SessionProvider } from "next-auth/react";
import type { ReactNode } from "react";

import { SessionInStep } from "./session-in-step";

/** With the session that the server read already, so that no page begins as nobody's and no browser asks again. */
export function Providers({ session, children }: { session: Session | null; children: ReactNode }) {
  return (
    <SessionProvider session={session}>
      <SessionInStep seen={session?.id ?? null} />
      <ConvexAuthProxyProvider>{children}</ConvexAuthProxyProvider>
    </SessionProvider>
  );
}
