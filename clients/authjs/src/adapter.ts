import type { Adapter } from "@auth/core/adapters" with { "resolution-mode": "import" };

import { call, type Call } from "./call.js";
import type { ConvexAuthProxyOptions } from "./options.js";
import { Rows } from "./rows.js";

/**
 * The Auth.js adapter: each method is one call of the proxy's adapter listener.
 *
 * Options that are missing or wrong are told by the first call. Every failure is a `ConvexAuthProxyError`; an outage is never `null`.
 */
export function ConvexAuthProxyAdapter(options: ConvexAuthProxyOptions = {}): Required<Adapter> {
  const asks = (kind: Call["kind"]) => async <T>(method: string, body: Call["body"], read: (rows: Rows, answer: unknown) => T) =>
    read(new Rows(method), await call(options, { method, path: `adapter/${method}`, kind, body }));
  const [query, mutation] = [asks("query"), asks("mutation")];

  return {
    createUser: (user) => mutation("createUser", { user }, (rows, answer) => rows.user(answer)),
    getUser: (id) => query("getUser", { id }, maybe("user")),
    getUserByEmail: (email) => query("getUserByEmail", { email }, maybe("user")),
    getUserByAccount: ({ provider, providerAccountId }) =>
      query("getUserByAccount", { provider, providerAccountId }, maybe("user")),
    updateUser: (user) => mutation("updateUser", { user }, (rows, answer) => rows.user(answer)),
    deleteUser: (id) => mutation("deleteUser", { id }, maybe("user")),

    linkAccount: (account) => mutation("linkAccount", { account }, maybe("account")),
    unlinkAccount: async ({ provider, providerAccountId }) =>
      (await mutation("unlinkAccount", { provider, providerAccountId }, maybe("account"))) ?? undefined,
    getAccount: (providerAccountId, provider) => query("getAccount", { provider, providerAccountId }, maybe("account")),

    createSession: (session) => mutation("createSession", { session }, (rows, answer) => rows.session(answer)),
    getSessionAndUser: (sessionToken) => query("getSessionAndUser", { sessionToken }, maybe("sessionAndUser")),
    updateSession: (session) => mutation("updateSession", { session }, maybe("session")),
    deleteSession: (sessionToken) => mutation("deleteSession", { sessionToken }, maybe("session")),

    createVerificationToken: (verificationToken) =>
      mutation("createVerificationToken", { verificationToken }, maybe("verificationToken")),
    // A link without an address leaves `identifier` undefined; JSON would leave it out.
    useVerificationToken: ({ identifier, token }) =>
      mutation("useVerificationToken", { identifier: identifier ?? null, token }, maybe("verificationToken")),

    createAuthenticator: (authenticator) =>
      mutation("createAuthenticator", { authenticator }, (rows, answer) => rows.authenticator(answer)),
    getAuthenticator: (credentialID) => query("getAuthenticator", { credentialID }, maybe("authenticator")),
    listAuthenticatorsByUserId: (userId) =>
      query("listAuthenticatorsByUserId", { userId }, (rows, answer) => rows.authenticators(answer)),
    updateAuthenticatorCounter: (credentialID, newCounter) =>
      mutation("updateAuthenticatorCounter", { credentialID, newCounter }, (rows, answer) => rows.authenticator(answer)),
  };
}

/** A reader of rows that may not be there. */
function maybe<Kind extends keyof Rows>(kind: Kind) {
  return (rows: Rows, answer: unknown): ReturnType<Rows[Kind]> | null =>
    answer === null ? null : (rows[kind](answer) as ReturnType<Rows[Kind]>);
}
