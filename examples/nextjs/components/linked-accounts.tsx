"use client";

import { useQuery } from "convex/react";
import type { FunctionReturnType } from "convex/server";

import { api } from "@/convex/_generated/api";
import { useLatest } from "@/lib/latest";

interface LinkedAccountsProps {
  initial: FunctionReturnType<typeof api.demo.accounts>;
  email: string | null;
}

/** Live: an account that is linked in another tab appears here. */
export function LinkedAccounts({ initial, email }: LinkedAccountsProps) {
  const accounts = useLatest(useQuery(api.demo.accounts), initial) ?? [];
  return (
    <ul className="accounts" aria-live="polite" aria-label="Ways to sign in" data-testid="accounts">
      {email !== null && (
        <li>
          <b>Link by e-mail</b> <span className="quiet-text">{email}</span>
        </li>
      )}
      {accounts.map(({ provider, type }, index) => (
        <li key={index} data-testid="account" data-provider={provider}>
          <b>{provider}</b> <span className="quiet-text">{type}</span>
        </li>
      ))}
    </ul>
  );
}
