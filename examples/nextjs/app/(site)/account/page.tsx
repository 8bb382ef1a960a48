import { fetchQuery } from "convex/nextjs";
import type { Metadata } from "next";
import { redirect } from "next/navigation";

import { signInByProvider } from "@/app/actions";
import { LinkedAccounts } from "@/components/linked-accounts";
import { SubmitButton } from "@/components/submit-button";
import { api } from "@/convex/_generated/api";
import { oauthProviders } from "@/lib/providers";
import { convexAs, currentSession, currentToken } from "@/lib/session";

export const metadata: Metadata = { title: "Account" };

export default async function AccountPage() {
  const [session, token] = await Promise.all([currentSession(), currentToken()]);
  // `currentToken` throws in an outage, where `auth()` says null: error.tsx then says that it is one.
  if (session === null) redirect("/signin?callbackUrl=%2Faccount");
  if (token === null) throw new Error("Auth.js knows this session and the proxy does not: do both go by the same cookie?");
  const [identity, accounts] = await Promise.all([
    fetchQuery(api.demo.whoami, {}, convexAs(token)),
    fetchQuery(api.demo.accounts, {}, convexAs(token)),
  ]);
  const { name, email } = session.user;
  return (
    <div className="stack">
      <section className="hero">
        <h1>{name ?? email ?? "Your account"}</h1>
        <p>This page was rendered on the server, with your token. It is shown to nobody else.</p>
      </section>
      <div className="columns even">
        <section className="card" aria-labelledby="server-title">
          <h2 id="server-title">What the server saw</h2>
          <dl data-testid="server-identity" data-subject={identity?.subject}>
            <dt>name</dt>
            <dd>{name ?? "none: the letter knows only an address"}</dd>
            <dt>e-mail</dt>
            <dd>{email ?? "none"}</dd>
            <dt>subject</dt>
            <dd>{identity?.subject ?? "nobody"}</dd>
            <dt>issuer</dt>
            <dd>{identity?.issuer ?? "nobody"}</dd>
          </dl>
        </section>
        <section className="card stack" aria-labelledby="accounts-title">
          <h2 id="accounts-title">Ways to sign in</h2>
          <LinkedAccounts initial={accounts} email={email} />
          {oauthProviders.map(({ id, name }) => (
            <form key={id} action={signInByProvider}>
              <input type="hidden" name="provider" value={id} />
              <input type="hidden" name="callbackUrl" value="/account" />
              <SubmitButton pendingText="One moment…">Link an account of {name}</SubmitButton>
            </form>
          ))}
        </section>
      </div>
    </div>
  );
}
