import type { Metadata } from "next";

import { SignInDone } from "@/components/sign-in-done";

export const metadata: Metadata = { title: "Signed in" };

/** Where a sign-in in a window of its own ends. Outside of the site's layout: it needs neither header nor socket. */
export default function SignInDonePage() {
  return (
    <main className="alone">
      <SignInDone />
    </main>
  );
}
