import { isMailboxOpen } from "./letters";
import { providers } from "./providers";

/** Writes what is missing to the log. The server starts all the same: pages that need nothing of it work. */
export function tellAboutEnvironment(): void {
  for (const problem of problems()) console.error(`environment: ${problem}`);
  if (isMailboxOpen) {
    console.warn("mailbox: sign-in letters are shown at /mailbox. Whoever opens that page can sign in as anybody.");
  }
}

function problems(): string[] {
  const { env } = process;
  const isProduction = env.NODE_ENV === "production";
  const found: [boolean, string][] = [
    [!env.AUTH_SECRET, "AUTH_SECRET is not set, so nobody can sign in. `openssl rand -base64 33` makes one."],
    [!env.CONVEX_ADAPTER_URL, "CONVEX_ADAPTER_URL is not set, so no session can be read. With `dev` it is http://localhost:8081."],
    [
      isProduction && !env.AUTH_URL,
      "AUTH_URL is not set: the app's own origin. AUTH_TRUST_HOST does not replace it: behind an ingress a sign-in would end at the address on which Next.js listens.",
    ],
    [providers.length === 0, "no way to sign in is configured: AUTH_RESEND_KEY, AUTH_OIDC_ISSUER, AUTH_GITHUB_ID, or EXAMPLE_MAILBOX=1."],
    [Boolean(env.AUTH_RESEND_KEY) && !env.AUTH_EMAIL_FROM, "AUTH_RESEND_KEY is set and AUTH_EMAIL_FROM is not, so letters are refused."],
    [Boolean(env.AUTH_OIDC_ISSUER) && !env.AUTH_OIDC_ID, "AUTH_OIDC_ISSUER is set and AUTH_OIDC_ID is not."],
    [Boolean(env.AUTH_GITHUB_ID) !== Boolean(env.AUTH_GITHUB_SECRET), "of AUTH_GITHUB_ID and AUTH_GITHUB_SECRET one is missing."],
  ];
  return found.filter(([isFound]) => isFound).map(([, problem]) => problem);
}
