"use client";

import { useQuery } from "convex/react";
import { getSession, useSession } from "next-auth/react";
import { useEffect } from "react";

import { api } from "@/convex/_generated/api";
import { useLatest } from "@/lib/latest";
import { useLasting } from "@/lib/lasting";

/** Longer than a sign-in takes to reach both. */
const DISAGREEMENT_MS = 2_000;

/** The live answer of `demo:whoami`: not what the page believes, but what a function of the deployment sees. */
export function Identity() {
  const identity = useLatest(useQuery(api.demo.whoami), undefined);
  const { data: session } = useSession();
  const state = identity === undefined ? "loading" : identity === null ? "nobody" : "known";
  const disagrees = identity !== undefined && (identity?.subject ?? null) !== (session?.user.id ?? null);
  const disagreesLastingly = useLasting(disagrees, DISAGREEMENT_MS);

  useEffect(() => {
    // The socket knows of a session's end at once, wherever it was ended; and after an outage it knows that there is one still.
    if (disagreesLastingly) void getSession();
  }, [disagreesLastingly]);

  return (
    <div className="identity" aria-live="polite" data-testid="whoami" data-state={state} data-subject={identity?.subject}>
      {identity === undefined && <p className="quiet-text">Asking…</p>}
      {identity === null && (
        <>
          <p className="big">Nobody</p>
          {session && disagreesLastingly ? (
            <p className="problem">
              The page is signed in and its connection is not: the proxy did not get the cookie. Do the page and{" "}
              {process.env.NEXT_PUBLIC_CONVEX_URL} name the same host?
            </p>
          ) : (
            <p className="quiet-text">You may read and write all the same, as “anonymous”.</p>
          )}
        </>
      )}
      {identity && (
        <>
          {/* A token holds a name only where `token.claims` says so; the session has it either way. */}
          <p className="big">{identity.name ?? session?.user.name ?? session?.user.email ?? "Somebody"}</p>
          <dl>
            <dt>subject</dt>
            <dd>{identity.subject}</dd>
            <dt>issuer</dt>
            <dd>{identity.issuer}</dd>
          </dl>
        </>
      )}
    </div>
  );
}
