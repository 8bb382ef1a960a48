"use client";

import { useCallback, useEffect, useInsertionEffect, useMemo, useState } from "react";

import { useSignedIn } from "./signed-in.js";
import { TokenSource } from "./token-source.js";
import { publicUrl } from "./url.js";

export interface ConvexAuthProxyAuth {
  isLoading: boolean;
  isAuthenticated: boolean;
  fetchAccessToken: (args: { forceRefreshToken: boolean }) => Promise<string | null>;
}

/** The hook for `ConvexProviderWithAuth`'s `useAuth`, inside next-auth's `SessionProvider`. */
export function useConvexAuthProxy(): ConvexAuthProxyAuth {
  return useAuthOf(undefined);
}

/** The same for another URL than `NEXT_PUBLIC_CONVEX_URL`. To be called once, outside of components. */
export function createConvexAuthProxyHook({ url }: { url: string }): () => ConvexAuthProxyAuth {
  return function useConvexAuthProxy() {
    return useAuthOf(url);
  };
}

function useAuthOf(givenUrl: string | undefined): ConvexAuthProxyAuth {
  const url = publicUrl(givenUrl);
  const { who, session, isLoading } = useSignedIn();
  const [recoveries, setRecoveries] = useState(0);
  const onRecovered = useCallback(() => setRecoveries((count) => count + 1), []);

  // Convex asks anew when `fetchAccessToken` is another function: for another user, another session, and after a recovery.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const source = useMemo(() => new TokenSource(url), [url, who, recoveries]);

  // StrictMode and a hidden <Activity> undo and redo other effects while the source stays in use; this kind runs once.
  useInsertionEffect(() => () => source.close(), [source]);
  useEffect(() => source.watch(onRecovered), [source, onRecovered]);
  useEffect(() => source.sessionWasRead(onRecovered), [source, onRecovered, session]);

  const isAuthenticated = who != null;
  const { fetchAccessToken } = source;
  return useMemo(() => ({ isLoading, isAuthenticated, fetchAccessToken }), [isLoading, isAuthenticated, fetchAccessToken]);
}
