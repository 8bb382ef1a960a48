import type { Adapter } from "next-auth/adapters";
import { fetchMutation, fetchQuery } from "convex/nextjs";
import { makeFunctionReference } from "convex/server";

/**
 * One method, one call of the function that has its name, straight at the deployment and with the secret: the calls that the guide's
 * adapter makes, no more and no fewer. What a function takes and gives is the guide's, too.
 */

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- rows, as the deployment has them
type Row = any;

function secretly(args: object): Row {
  const secret = process.env.CONVEX_AUTH_ADAPTER_SECRET;
  if (!secret) throw new Error("CONVEX_AUTH_ADAPTER_SECRET is not set");
  return { ...args, secret };
}

function query(method: string, args: object): Promise<Row> {
  return fetchQuery(makeFunctionReference<"query">(`authAdapter:${method}`), secretly(args));
}

function mutation(method: string, args: object): Promise<Row> {
  return fetchMutation(makeFunctionReference<"mutation">(`authAdapter:${method}`), secretly(args));
}

/** Dates as milliseconds, nulls left out. */
function stored(row: object): Row {
  const members = Object.entries(row).filter(([, value]) => value != null);
  return Object.fromEntries(members.map(([name, value]) => [name, value instanceof Date ? value.valueOf() : value]));
}

const date = (milliseconds: number | undefined) => (milliseconds === undefined ? null : new Date(milliseconds));
const asUser = (row: Row) => row && { ...row, id: row._id, emailVerified: date(row.emailVerified) };
const asSession = (row: Row) => row && { ...row, id: row._id, expires: date(row.expires) };
const asVerification = (row: Row) => row && { ...row, expires: date(row.expires) };

export const ConvexAdapter: Adapter = {
  createUser: async ({ id: _, ...user }) => ({ ...user, id: await mutation("createUser", { user: stored(user) }) }),
  getUser: async (id) => asUser(await query("getUser", { id })),
  getUserByEmail: async (email) => asUser(await query("getUserByEmail", { email })),
  getUserByAccount: async ({ provider, providerAccountId }) => asUser(await query("getUserByAccount", { provider, providerAccountId })),
  updateUser: async (user) => {
    await mutation("updateUser", { user: stored(user) });
    return user as Row;
  },
  deleteUser: async (id) => asUser(await mutation("deleteUser", { id })),
  linkAccount: (account) => mutation("linkAccount", { account }),
  unlinkAccount: async ({ provider, providerAccountId }) => (await mutation("unlinkAccount", { provider, providerAccountId })) ?? undefined,
  getAccount: (providerAccountId, provider) => query("getAccount", { provider, providerAccountId }),
  createSession: async (session) => {
    const id = await mutation("createSession", { session: stored(session) });
    return { ...session, id };
  },
  getSessionAndUser: async (sessionToken) => {
    const found = await query("getSessionAndUser", { sessionToken });
    return found && { session: asSession(found.session), user: asUser(found.user) };
  },
  updateSession: (session) => mutation("updateSession", { session: stored(session) }),
  deleteSession: async (sessionToken) => asSession(await mutation("deleteSession", { sessionToken })),
  createVerificationToken: async (verificationToken) => {
    await mutation("createVerificationToken", { verificationToken: stored(verificationToken) });
    return verificationToken;
  },
  useVerificationToken: async ({ identifier, token }) => asVerification(await mutation("useVerificationToken", { identifier, token })),
  createAuthenticator: async (authenticator) => {
    await mutation("createAuthenticator", { authenticator });
    return authenticator;
  },
  getAuthenticator: (credentialID) => query("getAuthenticator", { credentialID }),
  listAuthenticatorsByUserId: (userId) => query("listAuthenticatorsByUserId", { userId }),
  updateAuthenticatorCounter: (credentialID, newCounter) => mutation("updateAuthenticatorCounter", { credentialID, newCounter }),
};
