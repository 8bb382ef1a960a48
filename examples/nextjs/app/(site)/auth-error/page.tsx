import type { Metadata } from "next";
import Link from "next/link";

import { explanation } from "@/lib/explanations";
import { one, type SearchParams } from "@/lib/search-params";
import { currentSession } from "@/lib/session";

export const metadata: Metadata = { title: "Not signed in" };

export default async function AuthErrorPage({ searchParams }: { searchParams: SearchParams }) {
  const code = one((await searchParams).error) ?? "Configuration";
  const { title, text } = explanation(code, (await currentSession()) !== null);
  return (
    <section className="card narrow" role="alert" data-testid="auth-error" data-code={code}>
      <h1>{title}</h1>
      <p>{text}</p>
      <p>
        <Link className="button" href="/signin" prefetch={false}>
          Sign in
        </Link>
      </p>
    </section>
  );
}
