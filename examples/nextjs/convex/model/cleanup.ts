/**
 * Deleting more rows than one transaction should touch.
 *
 * A transaction of Convex writes 16,000 documents and reads 32,000, or 16 MiB, at most, and its code runs for one second.
 * A batch stays far below, also with accounts whose tokens take kilobytes; what is left is scheduled, as part of the same
 * transaction, so it is not forgotten.
 */
import { internal } from "../_generated/api";
import type { Id } from "../_generated/dataModel";
import type { MutationCtx } from "../_generated/server";

/** Rows of one table that a transaction deletes at most. */
export const BATCH = 100;

/** Deletes the sessions, accounts and authenticators of a user that is gone. */
export async function deleteDependants(ctx: MutationCtx, userId: Id<"users">): Promise<void> {
  const batches = [
    await ctx.db
      .query("sessions")
      .withIndex("userId", (q) => q.eq("userId", userId))
      .take(BATCH),
    await ctx.db
      .query("accounts")
      .withIndex("userId", (q) => q.eq("userId", userId))
      .take(BATCH),
    await ctx.db
      .query("authenticators")
      .withIndex("userId", (q) => q.eq("userId", userId))
      .take(BATCH),
  ];
  if (await deleteAll(ctx, batches)) {
    await ctx.scheduler.runAfter(0, internal.cleanup.dependants, { userId });
  }
}

/**
 * Deletes the verification tokens of an address. One batch, and no more is scheduled: the arguments of scheduled functions are
 * kept for days, and the address of a deleted user should not be among them. A token that is left lets its owner sign up
 * anew, which is nothing that they could not ask for, and expires.
 */
export async function deleteTokensOf(ctx: MutationCtx, identifier: string): Promise<void> {
  const tokens = await ctx.db
    .query("verificationTokens")
    .withIndex("identifierToken", (q) => q.eq("identifier", identifier))
    .take(BATCH);
  await deleteAll(ctx, [tokens]);
}

/** Deletes sessions and verification tokens that have expired: nobody reads them any more, so nobody else would. */
export async function deleteExpired(ctx: MutationCtx): Promise<void> {
  const now = Date.now();
  const batches = [
    await ctx.db
      .query("sessions")
      .withIndex("expires", (q) => q.lt("expires", now))
      .take(BATCH),
    await ctx.db
      .query("verificationTokens")
      .withIndex("expires", (q) => q.lt("expires", now))
      .take(BATCH),
  ];
  if (await deleteAll(ctx, batches)) {
    await ctx.scheduler.runAfter(0, internal.cleanup.expired, {});
  }
}

type Deletable = "sessions" | "accounts" | "authenticators" | "verificationTokens";

/** Deletes the rows; whether one of the batches was full, so that there may be more. */
async function deleteAll(ctx: MutationCtx, batches: { _id: Id<Deletable> }[][]) {
  for (const row of batches.flat()) {
    await ctx.db.delete(row._id);
  }
  return batches.some((rows) => rows.length === BATCH);
}
