"use client";

import { useRouter } from "next/navigation";
import { getSession, useSession } from "next-auth/react";
import { useEffect } from "react";

const RECORD = "session-last-seen";

/**
 * Keeps server, browser and the other tabs of one mind about who is signed in.
 *
 * Auth.js's SessionProvider reads its `session` property once and tells other tabs only of what it fetched itself. So a page that
 * came back from a sign-in, and a server action that signed out, would be this tab's secret.
 *
 * @param seen the id of the session that the server rendered this page for, `null` for nobody
 */
export function SessionInStep({ seen }: { seen: string | null }): null {
  const { data, status } = useSession();
  const router = useRouter();
  const held = data?.id ?? null;

  useEffect(() => {
    if (recall() === seen) return;
    // Asks the server, which also takes back the cookie of a session that has ended, and has every tab do the same, this one included.
    // Remembered only afterwards: a page that was left meanwhile has told nobody.
    void getSession().then(() => remember(seen));
  }, [seen]);

  useEffect(() => {
    if (status === "loading" || held === seen) return;
    remember(held);
    router.refresh();
    // Not when `seen` changes: the effect above sees to that.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [held, status]);

  return null;
}

/** `undefined` when nothing can be recalled, as with storage switched off: then a page load tells more often than it has to. */
function recall(): string | null | undefined {
  try {
    const record = localStorage.getItem(RECORD);
    return record === null ? undefined : record || null;
  } catch {
    return undefined;
  }
}

function remember(session: string | null): void {
  try {
    localStorage.setItem(RECORD, session ?? "");
  } catch {
    // See `recall`.
  }
}
