/** Authenticators, which are passkeys. Invariant: no two have the same credential id, and a counter never falls. */
import { type ObjectType, v } from "convex/values";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { authenticatorFields } from "../schema";
import { BATCH } from "./cleanup";
import { agrees, cleared, nullable } from "./nulls";
import { refusal } from "./refusal";
import { existingUserId } from "./users";

export const newAuthenticator = { ...nullable(authenticatorFields), userId: v.string() };

export async function getAuthenticator(ctx: QueryCtx, credentialID: string): Promise<Doc<"authenticators"> | null> {
  return await ctx.db
    .query("authenticators")
    .withIndex("credentialID", (q) => q.eq("credentialID", credentialID))
    .first();
}

/** The user's, newest first; none for an id of another database. */
export async function listAuthenticatorsByUserId(ctx: QueryCtx, id: string): Promise<Doc<"authenticators">[]> {
  const userId = ctx.db.normalizeId("users", id);
  if (userId === null) {
    return [];
  }
  return await ctx.db
    .query("authenticators")
    .withIndex("userId", (q) => q.eq("userId", userId))
    .order("desc")
    .take(BATCH);
}

/** The same authenticator again is a client that repeats itself. */
export async function createAuthenticator(
  ctx: MutationCtx,
  authenticator: ObjectType<typeof newAuthenticator>,
): Promise<Id<"authenticators">> {
  const userId = await existingUserId(ctx, authenticator.userId);
  const row = cleared({ ...authenticator, userId });
  const stored = await getAuthenticator(ctx, row.credentialID);
  if (stored === null) {
    return await ctx.db.insert("authenticators", row);
  }
  if (!agrees(stored, row)) {
    throw refusal("AuthenticatorTaken");
  }
  return stored._id;
}

/**
 * A passkey counts its signatures, or says 0 for ever. One that counts less than it did has a copy somewhere (WebAuthn 7.2,
 * step 22). The same number again is a client that repeats itself.
 */
export async function updateAuthenticatorCounter(
  ctx: MutationCtx,
  credentialID: string,
  newCounter: number,
): Promise<Doc<"authenticators">> {
  const authenticator = await getAuthenticator(ctx, credentialID);
  if (authenticator === null) {
    throw refusal("AuthenticatorNotFound");
  }
  // Not `<`, which would let NaN through.
  if (!(newCounter >= authenticator.counter)) {
    throw refusal("AuthenticatorCounterLower");
  }
  await ctx.db.patch("authenticators", authenticator._id, { counter: newCounter });
  return { ...authenticator, counter: newCounter };
}
