import type { EmailConfig, OIDCConfig, Provider } from "next-auth/providers";
import GitHub from "next-auth/providers/github";

import { canDeliver, deliver } from "./letters";

const { AUTH_OIDC_ISSUER, AUTH_OIDC_ID, AUTH_OIDC_SECRET, AUTH_GITHUB_ID, AUTH_GITHUB_SECRET } = process.env;

/** A link by letter. A provider of one's own takes no more than this. */
const email: EmailConfig = {
  id: "email",
  type: "email",
  name: "E-mail",
  maxAge: 15 * 60,
  sendVerificationRequest: ({ identifier, url, expires }) => deliver({ to: identifier, url, expires }),
};

interface Claims extends Record<string, unknown> {
  sub: string;
  name?: string;
  email?: string;
}

/** Any OpenID Connect provider; here the one of `npm run oidc`. */
const local: OIDCConfig<Claims> = {
  id: "local",
  type: "oidc",
  name: "Local OIDC",
  issuer: AUTH_OIDC_ISSUER,
  clientId: AUTH_OIDC_ID,
  clientSecret: AUTH_OIDC_SECRET,
  checks: ["pkce", "state"],
  // `login` asks who one is each time, so that one can be several people.
  authorization: { params: { scope: "openid email profile", prompt: "login" } },
  profile: ({ sub, name, email }) => ({ id: sub, name: name ?? null, email: email ?? null }),
};

export const providers: Provider[] = [
  ...(canDeliver ? [email] : []),
  ...(AUTH_OIDC_ISSUER ? [local] : []),
  ...(AUTH_GITHUB_ID && AUTH_GITHUB_SECRET ? [GitHub] : []),
];

/** What a page offers besides the letter. */
export const oauthProviders = [
  ...(AUTH_OIDC_ISSUER ? [{ id: local.id, name: local.name }] : []),
  ...(AUTH_GITHUB_ID && AUTH_GITHUB_SECRET ? [{ id: "github", name: "GitHub" }] : []),
];

/** A provider's id comes from a form, and a form can be filled in by anybody. */
export function isOffered(id: unknown): id is string {
  return oauthProviders.some((provider) => provider.id === id);
}
