/** Sessions. Invariant: no two have the same token, and the owner of one never changes. */
import { type ObjectType, v } from "convex/values";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { sessionFields } from "../schema";
import { BATCH } from "./cleanup";
import { agrees, cleared, nullable } from "./nulls";
import { refusal } from "./refusal";
import { existingUserId } from "./users";

export const newSession = { ...nullable(sessionFields), userId: v.string() };
export const sessionChanges = {
  ...nullable(v.object({ ...sessionFields, userId: v.string() }).partial().fields),
  sessionToken: v.string(),
};

function withToken(ctx: QueryCtx, sessionToken: string) {
  return ctx.db.query("sessions").withIndex("sessionToken", (q) => q.eq("sessionToken", sessionToken));
}

/** Both, or null when either is missing. An expired session too: Auth.js looks at `expires` and deletes it. */
export async function getSessionAndUser(
  ctx: QueryCtx,
  sessionToken: string,
): Promise<{ session: Doc<"sessions">; user: Doc<"users"> } | null> {
  const session = await withToken(ctx, sessionToken).first();
  if (session === null) {
    return null;
  }
  const user = await ctx.db.get("users", session.userId);
  return user && { session, user };
}

/** The same session again is a client that repeats itself: it gets the id that it did not hear of. */
export async function createSession(ctx: MutationCtx, session: ObjectType<typeof newSession>): Promise<Id<"sessions">> {
  const row = cleared({ ...session, userId: await existingUserId(ctx, session.userId) });
  const stored = await withToken(ctx, row.sessionToken).first();
  if (stored === null) {
    return await ctx.db.insert("sessions", row);
  }
  if (!agrees(stored, row)) {
    throw refusal("SessionTokenTaken");
  }
  return stored._id;
}

/**
 * Changes what is named and returns the whole row; null when there is no such session. `userId` may be there, as Auth.js may
 * send a whole session, but must be the owner's: a caller that believes in another one is not to be humoured.
 */
export async function updateSession(
  ctx: MutationCtx,
  { sessionToken, userId, expires, ...others }: ObjectType<typeof sessionChanges>,
): Promise<Doc<"sessions"> | null> {
  const session = await withToken(ctx, sessionToken).first();
  if (session === null) {
    return null;
  }
  if (typeof userId === "string" && ctx.db.normalizeId("users", userId) !== session.userId) {
    throw refusal("SessionOwnerMismatch");
  }
  await ctx.db.patch("sessions", session._id, {
    ...cleared(others),
    // Every session has one, so null can only mean: leave it.
    expires: expires ?? session.expires,
  });
  return await ctx.db.get("sessions", session._id);
}

/** All rows of the token go: one that a schema without uniqueness left beside it would keep the user signed in. */
export async function deleteSession(ctx: MutationCtx, sessionToken: string): Promise<Doc<"sessions"> | null> {
  const sessions = await withToken(ctx, sessionToken).take(BATCH);
  for (const session of sessions) {
    await ctx.db.delete("sessions", session._id);
  }
  return sessions[0] ?? null;
}
