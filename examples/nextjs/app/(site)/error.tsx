"use client";

import { useRouter } from "next/navigation";
import { startTransition } from "react";

/** An outage is told as one: who is signed in stays so, and the page comes back with the server. */
export default function SiteError({ reset }: { reset: () => void }) {
  const router = useRouter();
  const again = () =>
    startTransition(() => {
      router.refresh();
      reset();
    });
  return (
    <section className="card narrow" role="alert" data-testid="outage">
      <h1>This page cannot be shown now</h1>
      <p>The server did not get an answer that it needs. You have not been signed out.</p>
      <button type="button" onClick={again}>
        Try again
      </button>
    </section>
  );
}
