/**
 * Accounts. Invariant: an account of a provider is linked to one user at most. A row whose user is gone (deleted a moment
 * ago, its rows not yet) links to nobody.
 */
import { type ObjectType, v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { accountFields } from "../schema";
import { BATCH } from "./cleanup";
import { cleared, nullable } from "./nulls";
import { refusal } from "./refusal";
import { existingUserId } from "./users";

export const newAccount = { ...nullable(accountFields), userId: v.string() };
export const accountKey = { provider: v.string(), providerAccountId: v.string() };
type AccountKey = ObjectType<typeof accountKey>;

/** All rows of an account, oldest first: one, unless a schema without uniqueness left several. */
async function rowsOf(ctx: QueryCtx, { provider, providerAccountId }: AccountKey) {
  return await ctx.db
    .query("accounts")
    .withIndex("providerAndAccountId", (q) => q.eq("provider", provider).eq("providerAccountId", providerAccountId))
    .take(BATCH);
}

/** The oldest row of the account whose user is there, with the user. */
async function find(ctx: QueryCtx, key: AccountKey) {
  for (const account of await rowsOf(ctx, key)) {
    const user = await ctx.db.get("users", account.userId);
    if (user !== null) {
      return { account, user };
    }
  }
  return null;
}

export async function getAccount(ctx: QueryCtx, key: AccountKey): Promise<Doc<"accounts"> | null> {
  return (await find(ctx, key))?.account ?? null;
}

export async function getUserByAccount(ctx: QueryCtx, key: AccountKey): Promise<Doc<"users"> | null> {
  return (await find(ctx, key))?.user ?? null;
}

/** Links, or, when this user has the account already, takes over the tokens that are given. Returns the whole row. */
export async function linkAccount(
  ctx: MutationCtx,
  account: ObjectType<typeof newAccount>,
): Promise<Doc<"accounts"> | null> {
  const row = cleared({ ...account, userId: await existingUserId(ctx, account.userId) });
  let own: Doc<"accounts"> | undefined;
  for (const stored of await rowsOf(ctx, row)) {
    if (stored.userId === row.userId) {
      own ??= stored;
    } else if ((await ctx.db.get("users", stored.userId)) !== null) {
      throw refusal("AccountLinkedToOther");
    } else {
      await ctx.db.delete("accounts", stored._id);
    }
  }
  if (own === undefined) {
    return await ctx.db.get("accounts", await ctx.db.insert("accounts", row));
  }
  await ctx.db.patch("accounts", own._id, row);
  return await ctx.db.get("accounts", own._id);
}

/** All rows of the account go, and with an account that is a passkey the authenticator, which would be of no use. */
export async function unlinkAccount(ctx: MutationCtx, key: AccountKey): Promise<Doc<"accounts"> | null> {
  const accounts = await rowsOf(ctx, key);
  for (const account of accounts) {
    await ctx.db.delete("accounts", account._id);
    if (account.type === "webauthn") {
      await deleteAuthenticatorOf(ctx, account);
    }
  }
  return accounts[0] ?? null;
}

async function deleteAuthenticatorOf(ctx: MutationCtx, account: Doc<"accounts">) {
  const authenticators = await ctx.db
    .query("authenticators")
    .withIndex("userId", (q) => q.eq("userId", account.userId))
    .take(BATCH);
  for (const authenticator of authenticators) {
    if (authenticator.providerAccountId === account.providerAccountId) {
      await ctx.db.delete("authenticators", authenticator._id);
    }
  }
}
