import type { Metadata } from "next";

import { AwaitSignIn } from "@/components/await-sign-in";
import { isMailboxOpen } from "@/lib/letters";

export const metadata: Metadata = { title: "Check your mail" };

export default function CheckMailPage() {
  return (
    <section className="card narrow" aria-labelledby="mail-title">
      <AwaitSignIn hasMailbox={isMailboxOpen} />
    </section>
  );
}
