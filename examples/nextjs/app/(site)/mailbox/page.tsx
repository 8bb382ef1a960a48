import type { Metadata } from "next";
import { notFound } from "next/navigation";

import { LocalTime } from "@/components/local-time";
import { isMailboxOpen, letters } from "@/lib/letters";

export const metadata: Metadata = { title: "Mailbox" };

/** For development: the letters that a mail service would have sent. */
export default function MailboxPage() {
  if (!isMailboxOpen) notFound();
  const shown = letters();
  return (
    <section className="stack" aria-labelledby="mailbox-title">
      <h1 id="mailbox-title">Mailbox of this server</h1>
      <p className="notice">
        <b>For development only.</b> Whoever opens this page can sign in as anybody. It is here because no mail service is configured;
        outside of development it needs <code>EXAMPLE_MAILBOX=1</code>.
      </p>
      {shown.length === 0 && <p className="empty">No letters yet.</p>}
      <ol className="letters" aria-label="Letters, the newest first">
        {shown.map(({ to, url, expires }) => (
          <li key={url} className="card" data-testid="letter" data-to={to}>
            <p>
              <b>{to}</b>
              <span className="quiet-text">
                {" "}
                works until <LocalTime at={expires.getTime()} />
              </span>
            </p>
            <a className="button" href={url} data-testid="letter-link">
              Sign in as {to}
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}
