"use client";

import { ConvexProviderWithAuth, ConvexReactClient } from "convex/react";
import type { Session } from "next-auth";
import { SessionProvider, useSession } from "next-auth/react";
import { useMemo, type ReactNode } from "react";

import { SessionInStep } from "./session-in-step";

const client = new ConvexReactClient(process.env.NEXT_PUBLIC_CONVEX_URL!);

export function Providers({ session, children }: { session: Session | null; children: ReactNode }) {
  return (
    <SessionProvider session={session}>
      <SessionInStep seen={session?.id ?? null} />
      <ConvexProviderWithAuth client={client} useAuth={useTokenOfSession}>
        {children}
      </ConvexProviderWithAuth>
    </SessionProvider>
  );
}

/** The token that came with the session; a forced refresh has Auth.js read the session again, which signs another. */
function useTokenOfSession() {
  const { data, update } = useSession();
  const user = JSON.stringify(data?.user);
  return useMemo(() => {
    const held = data?.convexToken ?? null;
    const fetchAccessToken = async ({ forceRefreshToken }: { forceRefreshToken: boolean }) => {
      if (!forceRefreshToken) return held;
      const renewed = await update();
      return renewed?.convexToken ?? null;
    };
    return { isLoading: false, isAuthenticated: data !== null, fetchAccessToken };
    // Anew for another user only: Convex would authenticate again whenever the function changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [user]);
}
