// A page that asks for tokens itself, as Convex's own auth integrations do.

import { ConvexProviderWithAuth, ConvexReactClient, useConvexAuth, useQuery } from "convex/react";
import { anyApi } from "convex/server";
import { useCallback, useMemo } from "react";
import { createRoot } from "react-dom/client";

const { convexUrl } = document.body.dataset;
const client = new ConvexReactClient(convexUrl);
/** What was asked for and given, for the test to read. */
window.asked = [];
window.states = [];

function useAuth() {
  const fetchAccessToken = useCallback(async ({ forceRefreshToken }) => {
    const answer = await fetch(`${convexUrl}/auth/token`, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ forceRefresh: forceRefreshToken }),
    });
    const token = answer.ok ? (await answer.json()).token : null;
    window.asked.push({ forceRefreshToken, status: answer.status, token });
    return token;
  }, []);
  return useMemo(() => ({ isLoading: false, isAuthenticated: true, fetchAccessToken }), [fetchAccessToken]);
}

function Who() {
  const { isLoading, isAuthenticated } = useConvexAuth();
  const identity = useQuery(anyApi.demo.whoami);
  const state = isLoading ? "loading" : isAuthenticated ? "authenticated" : "unauthenticated";
  if (window.states.at(-1) !== state) window.states.push(state);
  return (
    <main>
      <p id="state">{state}</p>
      <p id="user">{identity === undefined ? "loading" : (identity?.subject ?? "anonymous")}</p>
    </main>
  );
}

createRoot(document.getElementById("root")).render(
  <ConvexProviderWithAuth client={client} useAuth={useAuth}>
    <Who />
  </ConvexProviderWithAuth>,
);
