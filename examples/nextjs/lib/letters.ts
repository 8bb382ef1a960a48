/** Sign-in letters: sent by Resend, or laid into a mailbox that a page of this app shows. */

export interface Letter {
  to: string;
  /** Opening it signs in. */
  url: string;
  expires: Date;
}

const KEPT = 20;

const { AUTH_RESEND_KEY, AUTH_EMAIL_FROM, EXAMPLE_MAILBOX } = process.env;

export const isMailboxOpen = !AUTH_RESEND_KEY && (process.env.NODE_ENV === "development" || EXAMPLE_MAILBOX === "1");

export const canDeliver = Boolean(AUTH_RESEND_KEY) || isMailboxOpen;

// Next.js bundles a page and a route handler apart, each with its own copy of a module's variables.
const shared = globalThis as { exampleMailbox?: Letter[] };

/** The newest first. */
export function letters(): readonly Letter[] {
  return shared.exampleMailbox ?? [];
}

/** @throws when the mail service does not take the letter; the sign-in then fails, and says so. */
export async function deliver(letter: Letter): Promise<void> {
  if (AUTH_RESEND_KEY) return send(letter, AUTH_RESEND_KEY);
  shared.exampleMailbox = [letter, ...letters()].slice(0, KEPT);
}

async function send({ to, url }: Letter, key: string): Promise<void> {
  const { host } = new URL(url);
  const response = await fetch("https://api.resend.com/emails", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({
      from: AUTH_EMAIL_FROM,
      to,
      subject: `Sign in to ${host}`,
      text: `Sign in to ${host}:\n\n${url}\n\nThe link works once, for 15 minutes. If you did not ask for it, do nothing.\n`,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`the mail service answered ${response.status}: ${await response.text()}`);
}
