"use client";

import { getSession } from "next-auth/react";
import { useEffect } from "react";

let told: Promise<unknown> | undefined;

export function SignInDone() {
  useEffect(() => {
    // Has every tab read its session again, the one that opened this window too. There is no use of `opener`: a provider's page
    // with Cross-Origin-Opener-Policy would have cut it.
    told ??= getSession();
    void told.finally(() => window.close());
  }, []);
  return (
    <section className="card narrow" role="status">
      <h1>Signed in</h1>
      <p>This window closes by itself. If it does not, close it; the page behind it knows already.</p>
    </section>
  );
}
