"use client";

import Link from "next/link";
import { useSession } from "next-auth/react";
import { useEffect, useState } from "react";

import { beginSignIn } from "@/app/actions";

const CLOSED_CHECK_MS = 400;

/**
 * Sign-in without leaving the page: the provider's pages open in a window of their own, which ends at /signin-done. That page has
 * the session read again in every tab; ConvexAuthProxyProvider then opens a new socket, with the cookie.
 */
export function PopupSignIn({ providers }: { providers: { id: string; name: string }[] }) {
  const { data: session } = useSession();
  const [problem, setProblem] = useState<string>();
  const [popup, setPopup] = useState<Window>();
  const isWaiting = popup !== undefined;

  useEffect(() => {
    if (popup === undefined) return;
    // A window of another site tells of its end in no other way.
    const timer = setInterval(() => popup.closed && setPopup(undefined), CLOSED_CHECK_MS);
    return () => clearInterval(timer);
  }, [popup]);

  async function start(provider: string) {
    setProblem(undefined);
    // Before anything is awaited: a browser lets a click open a window, and nothing else.
    const opened = window.open("", "sign-in", "popup,width=460,height=680");
    if (opened === null) return setProblem("The browser did not open a window.");
    setPopup(opened);
    try {
      opened.location.replace(await beginSignIn(provider));
    } catch {
      opened.close();
      setProblem("The sign-in could not begin.");
    }
  }

  if (session) return null;
  return (
    <div className="stack">
      {providers.map(({ id, name }) => (
        <button key={id} type="button" onClick={() => void start(id)} aria-disabled={isWaiting} data-testid={`popup-${id}`}>
          {isWaiting ? "Waiting…" : `Sign in with ${name}`}
        </button>
      ))}
      {providers.length > 0 && <p className="quiet-text">In a window of its own; this page stays as it is.</p>}
      {problem !== undefined && (
        <p role="alert" className="problem">
          {problem}
        </p>
      )}
      <Link href="/signin" prefetch={false}>
        Other ways to sign in
      </Link>
    </div>
  );
}
