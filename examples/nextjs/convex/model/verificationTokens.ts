/**
 * Verification tokens. Invariant: one row for a token of an address. Two addresses may have the same token, since an app may
 * make its tokens short enough to be typed.
 */
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { BATCH } from "./cleanup";

type Row = Pick<Doc<"verificationTokens">, "identifier" | "token" | "expires">;

function rowsOf(ctx: QueryCtx, identifier: string, token: string) {
  return ctx.db
    .query("verificationTokens")
    .withIndex("identifierToken", (q) => q.eq("identifier", identifier).eq("token", token));
}

/** The same token for the same address again is one token, with the newer `expires`. */
export async function createVerificationToken(ctx: MutationCtx, row: Row): Promise<Id<"verificationTokens">> {
  const stored = await rowsOf(ctx, row.identifier, row.token).first();
  if (stored === null) {
    return await ctx.db.insert("verificationTokens", row);
  }
  await ctx.db.patch("verificationTokens", stored._id, { expires: row.expires });
  return stored._id;
}

/**
 * Takes the token away and returns it; null when it is not there. Of parallel uses one wins, since mutations are serialised.
 * An expired one too: Auth.js looks at `expires`.
 *
 * All rows of the token go: one that a schema without uniqueness left beside it could be used a second time.
 */
export async function useVerificationToken(
  ctx: MutationCtx,
  identifier: string | null,
  token: string,
): Promise<Doc<"verificationTokens"> | null> {
  const owner = identifier ?? (await onlyOwnerOf(ctx, token));
  if (owner === null) {
    return null;
  }
  const rows = await rowsOf(ctx, owner, token).take(BATCH);
  for (const row of rows) {
    await ctx.db.delete("verificationTokens", row._id);
  }
  return rows[0] ?? null;
}

/** The address that has the token, for a link without one. Null when several have it: then it proves none of them. */
async function onlyOwnerOf(ctx: QueryCtx, token: string) {
  const rows = await ctx.db
    .query("verificationTokens")
    .withIndex("token", (q) => q.eq("token", token))
    .take(BATCH);
  const owners = new Set(rows.map((row) => row.identifier));
  return owners.size === 1 ? rows[0].identifier : null;
}
