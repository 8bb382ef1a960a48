"use client";

import { useSession } from "next-auth/react";
import { useState } from "react";

/**
 * Who is signed in: the same object for as long as it is the same user and session, however often the session is read, and another one
 * afterwards. `null`: nobody. `undefined`: the session was not read yet.
 */
export type Who = SignedIn | null | undefined;

export interface SignedIn {
  /** The user's id. */
  readonly id: unknown;
  readonly email: unknown;
  readonly name: unknown;
  readonly image: unknown;
  /** What names the session itself. */
  readonly session: unknown;
}

/** What next-auth says, and who that is. */
export function useSignedIn(): { who: Who; session: unknown; isLoading: boolean } {
  const context = useSession() as { data: unknown; status: string } | undefined;
  // next-auth says so itself, but not in production.
  if (context === undefined) throw new Error("convex-auth-proxy-adapter/react must be used inside next-auth's <SessionProvider>");
  const { data: session, status } = context;
  const [before, setBefore] = useState<Who>(() => read(session));
  const who = follow(before, read(session));
  if (who !== before) setBefore(who);
  // `update()` makes the status "loading" while the session is still there; before the first read there is none, not even null.
  return { who, session, isLoading: who === undefined && status === "loading" };
}

function read(session: unknown): Who {
  if (session === undefined) return undefined;
  if (typeof session !== "object" || session === null) return null;
  const { user, id, userId, sessionToken } = session as Record<string, unknown>;
  const of = (typeof user === "object" && user !== null ? user : {}) as Record<string, unknown>;
  return { id: of.id ?? userId, email: of.email, name: of.name, image: of.image, session: sessionToken ?? id };
}

function follow(before: Who, now: Who): Who {
  return before && now && isSame(before, now) ? before : now;
}

/**
 * One session is read in two shapes: the server's `auth()` gives all of it, the browser's session route what the `session` callback lets
 * through. So only what both have can tell them apart. `expires` cannot: it moves forward while the session goes on.
 */
function isSame(one: SignedIn, other: SignedIn): boolean {
  const isIn = (member: keyof SignedIn) => one[member] != null && other[member] != null;
  if (isIn("session") && one.session !== other.session) return false;
  for (const member of ["id", "email"] as const) {
    if (isIn(member)) return one[member] === other[member];
  }
  return one.name === other.name && one.image === other.image;
}
