"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import { useSession } from "next-auth/react";

import { leave } from "@/app/actions";
import { SubmitButton } from "./submit-button";

export function Header({ hasMailbox }: { hasMailbox: boolean }) {
  const { data: session } = useSession();
  const path = usePathname();
  const links = [
    { href: "/", text: "Board" },
    { href: "/account", text: "Account" },
    ...(hasMailbox ? [{ href: "/mailbox", text: "Mailbox" }] : []),
  ];
  return (
    <header className="top">
      <Link className="brand" href="/">
        <span aria-hidden="true" className="mark" />
        Notice board
      </Link>
      <nav aria-label="Main">
        {links.map(({ href, text }) => (
          // Not prefetched: the server would read the session for pages that nobody asked for.
          <Link key={href} href={href} prefetch={false} aria-current={path === href ? "page" : undefined}>
            {text}
          </Link>
        ))}
      </nav>
      <div className="who" data-testid="session" data-state={session ? "signed-in" : "nobody"}>
        {session ? (
          <>
            <span className="name" title={session.user.email ?? undefined} data-testid="session-name">
              {session.user.name ?? session.user.email ?? "Signed in"}
            </span>
            <form action={leave}>
              <SubmitButton className="quiet" pendingText="Signing out…">
                Sign out
              </SubmitButton>
            </form>
          </>
        ) : (
          path !== "/signin" && (
            <Link className="button small" href="/signin" prefetch={false}>
              Sign in
            </Link>
          )
        )}
      </div>
    </header>
  );
}
