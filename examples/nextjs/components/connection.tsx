"use client";

import { useConvexConnectionState } from "convex/react";

import { useLasting } from "@/lib/lasting";

const PATIENCE_MS = 5_000;

/** Whether the sync socket is open, and what is under way on it. */
export function Connection() {
  const { isWebSocketConnected, hasEverConnected, inflightMutations } = useConvexConnectionState();
  const state = isWebSocketConnected ? "connected" : hasEverConnected ? "reconnecting" : "connecting";
  const words = { connected: "Live", reconnecting: "Connection lost. Trying again…", connecting: "Connecting…" };
  const takesLong = useLasting(state === "connecting", PATIENCE_MS);
  return (
    <div className="stack" role="status" data-testid="connection" data-state={state}>
      <p className="connection">
        <span aria-hidden="true" className="dot" />
        {words[state]}
        {inflightMutations > 0 && <span className="quiet-text">{inflightMutations} on the way</span>}
      </p>
      {takesLong && (
        <p className="problem">
          There is no connection to {process.env.NEXT_PUBLIC_CONVEX_URL}. Is the proxy up, and is {location.origin} in its{" "}
          <code>session.origins</code>?
        </p>
      )}
    </div>
  );
}
