/** Users. Invariant: no two have the same e-mail address, compared exactly. */
import { type ObjectType, v } from "convex/values";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { userFields } from "../schema";
import { deleteDependants, deleteTokensOf } from "./cleanup";
import { cleared, nullable } from "./nulls";
import { refusal } from "./refusal";

export const newUser = nullable(userFields);
export const userChanges = { ...nullable(v.object(userFields).partial().fields), id: v.string() };

/** The user; null when there is none, or when the id is of another database. */
export async function getUser(ctx: QueryCtx, id: string): Promise<Doc<"users"> | null> {
  const userId = ctx.db.normalizeId("users", id);
  return userId && (await ctx.db.get("users", userId));
}

/** The id, when its user is there. Who refers to a user asks here first. */
export async function existingUserId(ctx: QueryCtx, id: string): Promise<Id<"users">> {
  const user = await getUser(ctx, id);
  if (user === null) {
    throw refusal("UserNotFound");
  }
  return user._id;
}

/** The oldest user with the address: a schema without uniqueness may have left several. */
export async function getUserByEmail(ctx: QueryCtx, email: string): Promise<Doc<"users"> | null> {
  return await ctx.db
    .query("users")
    .withIndex("email", (q) => q.eq("email", email))
    .first();
}

/**
 * Two first sign-ins at the same time both find nobody and both come here. Mutations are serialised, so the second finds the
 * user of the first, is refused, and succeeds when it is tried again.
 */
export async function createUser(ctx: MutationCtx, user: ObjectType<typeof newUser>): Promise<Id<"users">> {
  await refuseTakenEmail(ctx, user.email);
  return await ctx.db.insert("users", cleared(user));
}

/** Changes what is named and returns the whole row; null when there is no such user. */
export async function updateUser(
  ctx: MutationCtx,
  { id, ...changes }: ObjectType<typeof userChanges>,
): Promise<Doc<"users"> | null> {
  const user = await getUser(ctx, id);
  if (user === null) {
    return null;
  }
  // Whoever keeps the address may: the other holders of an address from before it was unique must stay usable.
  if (changes.email !== user.email) {
    await refuseTakenEmail(ctx, changes.email);
  }
  await ctx.db.patch("users", user._id, cleared(changes));
  return await ctx.db.get("users", user._id);
}

/**
 * The user goes first and at once, and with it every session, however many there are: `getSessionAndUser` answers null
 * without the user. The rows that are left are then taken away batch by batch.
 */
export async function deleteUser(ctx: MutationCtx, id: string): Promise<Doc<"users"> | null> {
  const user = await getUser(ctx, id);
  if (user === null) {
    return null;
  }
  await ctx.db.delete("users", user._id);
  await deleteDependants(ctx, user._id);
  if (user.email !== undefined) {
    await deleteTokensOf(ctx, user.email);
  }
  return user;
}

async function refuseTakenEmail(ctx: QueryCtx, email: string | null | undefined) {
  if (typeof email === "string" && (await getUserByEmail(ctx, email)) !== null) {
    throw refusal("EmailTaken");
  }
}
