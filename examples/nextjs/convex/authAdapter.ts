/**
 * The functions of Auth.js's `Adapter` interface, by its names. Each demands the adapter's secret; what each does, and why,
 * stands in `model/`, one file per table.
 *
 * All functions of this module, and no others, are what the proxy guards: keep other functions out of it.
 *
 * Common to all: rows come back as they are stored; not found is null; ids are texts, and one that is not an id of this
 * deployment finds nothing; what is refused is a `ConvexError` with `{ code, message }` (`model/refusal.ts`).
 */
import { v } from "convex/values";
import * as accounts from "./model/accounts";
import * as authenticators from "./model/authenticators";
import { adapterMutation, adapterQuery } from "./model/secret";
import * as sessions from "./model/sessions";
import * as users from "./model/users";
import * as verificationTokens from "./model/verificationTokens";
import { verificationTokenFields } from "./schema";

// Users

export const createUser = adapterMutation({
  args: { user: v.object(users.newUser) },
  handler: (ctx, { user }) => users.createUser(ctx, user),
});

export const getUser = adapterQuery({
  args: { id: v.string() },
  handler: (ctx, { id }) => users.getUser(ctx, id),
});

export const getUserByEmail = adapterQuery({
  args: { email: v.string() },
  handler: (ctx, { email }) => users.getUserByEmail(ctx, email),
});

export const updateUser = adapterMutation({
  args: { user: v.object(users.userChanges) },
  handler: (ctx, { user }) => users.updateUser(ctx, user),
});

export const deleteUser = adapterMutation({
  args: { id: v.string() },
  handler: (ctx, { id }) => users.deleteUser(ctx, id),
});

// Accounts

export const linkAccount = adapterMutation({
  args: { account: v.object(accounts.newAccount) },
  handler: (ctx, { account }) => accounts.linkAccount(ctx, account),
});

export const unlinkAccount = adapterMutation({
  args: accounts.accountKey,
  handler: (ctx, key) => accounts.unlinkAccount(ctx, key),
});

export const getAccount = adapterQuery({
  args: accounts.accountKey,
  handler: (ctx, key) => accounts.getAccount(ctx, key),
});

export const getUserByAccount = adapterQuery({
  args: accounts.accountKey,
  handler: (ctx, key) => accounts.getUserByAccount(ctx, key),
});

// Sessions

export const createSession = adapterMutation({
  args: { session: v.object(sessions.newSession) },
  handler: (ctx, { session }) => sessions.createSession(ctx, session),
});

export const getSessionAndUser = adapterQuery({
  args: { sessionToken: v.string() },
  handler: (ctx, { sessionToken }) => sessions.getSessionAndUser(ctx, sessionToken),
});

export const updateSession = adapterMutation({
  args: { session: v.object(sessions.sessionChanges) },
  handler: (ctx, { session }) => sessions.updateSession(ctx, session),
});

export const deleteSession = adapterMutation({
  args: { sessionToken: v.string() },
  handler: (ctx, { sessionToken }) => sessions.deleteSession(ctx, sessionToken),
});

// Verification tokens

export const createVerificationToken = adapterMutation({
  args: { verificationToken: v.object(verificationTokenFields) },
  handler: (ctx, { verificationToken }) => verificationTokens.createVerificationToken(ctx, verificationToken),
});

export const useVerificationToken = adapterMutation({
  // A link that does not name the address has none.
  args: { identifier: v.optional(v.nullable(v.string())), token: v.string() },
  handler: (ctx, { identifier, token }) => verificationTokens.useVerificationToken(ctx, identifier ?? null, token),
});

// Authenticators

export const createAuthenticator = adapterMutation({
  args: { authenticator: v.object(authenticators.newAuthenticator) },
  handler: (ctx, { authenticator }) => authenticators.createAuthenticator(ctx, authenticator),
});

export const getAuthenticator = adapterQuery({
  args: { credentialID: v.string() },
  handler: (ctx, { credentialID }) => authenticators.getAuthenticator(ctx, credentialID),
});

export const listAuthenticatorsByUserId = adapterQuery({
  args: { userId: v.string() },
  handler: (ctx, { userId }) => authenticators.listAuthenticatorsByUserId(ctx, userId),
});

export const updateAuthenticatorCounter = adapterMutation({
  args: { credentialID: v.string(), newCounter: v.number() },
  handler: (ctx, { credentialID, newCounter }) =>
    authenticators.updateAuthenticatorCounter(ctx, credentialID, newCounter),
});
