import type { Metadata } from "next";
import Link from "next/link";
import { redirect } from "next/navigation";

import { signInByLetter, signInByProvider } from "@/app/actions";
import { SubmitButton } from "@/components/submit-button";
import { explanation } from "@/lib/explanations";
import { canDeliver } from "@/lib/letters";
import { oauthProviders } from "@/lib/providers";
import { one, ownPath, type SearchParams } from "@/lib/search-params";
import { currentSession } from "@/lib/session";

export const metadata: Metadata = { title: "Sign in" };

export default async function SignInPage({ searchParams }: { searchParams: SearchParams }) {
  const params = await searchParams;
  const error = one(params.error);
  const callbackUrl = ownPath(one(params.callbackUrl));
  const isSignedIn = (await currentSession()) !== null;
  if (isSignedIn && error === undefined) redirect(callbackUrl);
  return (
    <section className="card narrow" aria-labelledby="signin-title">
      <h1 id="signin-title">{isSignedIn ? "Not linked" : "Sign in"}</h1>
      {error !== undefined && <Problem code={error} isSignedIn={isSignedIn} />}
      {!isSignedIn && <Ways callbackUrl={callbackUrl} />}
      <p>{isSignedIn ? <Link href="/account">Back to your account</Link> : <Link href="/">Back to the board</Link>}</p>
    </section>
  );
}

function Ways({ callbackUrl }: { callbackUrl: string }) {
  if (!canDeliver && oauthProviders.length === 0) {
    return (
      <p role="alert" className="problem">
        No way to sign in is configured. See <code>.env.example</code>.
      </p>
    );
  }
  return (
    <>
      {canDeliver && (
        <form action={signInByLetter} className="stack">
          <input type="hidden" name="callbackUrl" value={callbackUrl} />
          <label htmlFor="email">E-mail address</label>
          <input id="email" name="email" type="email" autoComplete="email" required placeholder="you@example.com" />
          <SubmitButton className="primary" pendingText="Sending…">
            Send me a link
          </SubmitButton>
          <p className="quiet-text">There is no password. An address that is new here makes a new user.</p>
        </form>
      )}
      {canDeliver && oauthProviders.length > 0 && <p className="or">or</p>}
      {oauthProviders.map(({ id, name }) => (
        <form key={id} action={signInByProvider} className="stack">
          <input type="hidden" name="provider" value={id} />
          <input type="hidden" name="callbackUrl" value={callbackUrl} />
          <SubmitButton pendingText="One moment…">Sign in with {name}</SubmitButton>
        </form>
      ))}
    </>
  );
}

function Problem({ code, isSignedIn }: { code: string; isSignedIn: boolean }) {
  const { title, text } = explanation(code, isSignedIn);
  return (
    <div role="alert" className="notice" data-testid="auth-error" data-code={code}>
      <p>
        <b>{title}</b>
      </p>
      <p>{text}</p>
    </div>
  );
}
