"use client";

import Link from "next/link";
import { getSession, useSession } from "next-auth/react";
import { useEffect } from "react";

import { Identity } from "./identity";

/** Waits for the link to be opened, in another tab as a rule, and then knows of it without a page load. */
export function AwaitSignIn({ hasMailbox }: { hasMailbox: boolean }) {
  const { data: session } = useSession();
  const isWaiting = session === null;

  useEffect(() => {
    if (!isWaiting) return;
    // The other tab tells this one. Where it could not, a look at this one asks: SessionProvider does so only for a session that it has.
    const ask = () => document.visibilityState === "visible" && void getSession();
    document.addEventListener("visibilitychange", ask);
    return () => document.removeEventListener("visibilitychange", ask);
  }, [isWaiting]);

  return (
    <div aria-live="polite" className="stack" data-testid="check-mail" data-state={isWaiting ? "waiting" : "signed-in"}>
      <h1 id="mail-title">{isWaiting ? "Check your mail" : "You are signed in"}</h1>
      {isWaiting ? (
        <>
          <p>We sent you a link. Open it in this browser; this tab will notice. It works once, for 15 minutes.</p>
          {hasMailbox && (
            <p>
              No mail service is configured, so the letter lies in the{" "}
              <a href="/mailbox" target="_blank">
                mailbox of this server
              </a>
              .
            </p>
          )}
          <p>
            <Link href="/signin" prefetch={false}>
              Use another address
            </Link>
          </p>
        </>
      ) : (
        <p>Nothing was reloaded: the other tab told this one, and the connection to Convex was opened anew with the cookie.</p>
      )}
      <Identity />
      {!isWaiting && (
        <Link className="button primary" href="/" prefetch={false}>
          Go to the board
        </Link>
      )}
    </div>
  );
}
