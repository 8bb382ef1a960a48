/**
 * The demo: messages of everybody, and the question who one is. `convex-auth-proxy dev` serves functions of the same names
 * and shapes, so the pages work with either.
 */
import { v } from "convex/values";
import { mutation, query, type QueryCtx } from "./_generated/server";
import { refusal } from "./model/refusal";
import { getUser } from "./model/users";

/** Messages that `list` returns at most. */
const LISTED = 100;
/** Messages that are kept at most. Anybody may send, so the table must not grow for ever. */
const KEPT = 1000;
/** Characters of a message at most. */
const LONGEST = 1000;
/** Messages that one `send` drops at most: one, unless `KEPT` was made smaller. */
const DROPPED = 10;

/** The newest messages, the newest last. */
export const list = query({
  args: {},
  handler: async (ctx) => {
    const newest = await ctx.db.query("messages").withIndex("number").order("desc").take(LISTED);
    return newest.reverse().map(({ number: _, ...message }) => message);
  },
});

/** Anybody may send; who is signed in signs. */
export const send = mutation({
  args: { body: v.string() },
  handler: async (ctx, { body }) => {
    // `length` would count a character beyond the basic plane, an emoji say, twice.
    const length = [...body].length;
    if (length < 1 || length > LONGEST) {
      throw refusal("MessageLength");
    }
    const author = await authorOf(ctx);
    const newest = await ctx.db.query("messages").withIndex("number").order("desc").first();
    const number = (newest?.number ?? 0) + 1;
    const old = await ctx.db
      .query("messages")
      .withIndex("number", (q) => q.lte("number", number - KEPT))
      .take(DROPPED);
    for (const message of old) {
      await ctx.db.delete("messages", message._id);
    }
    return await ctx.db.insert("messages", { author, body, number });
  },
});

/** The identity as functions see it; null for nobody. */
export const whoami = query({
  args: {},
  handler: async (ctx) => await ctx.auth.getUserIdentity(),
});

/** By what the caller can sign in, oldest first; nothing for nobody. */
export const accounts = query({
  args: {},
  handler: async (ctx) => {
    const identity = await ctx.auth.getUserIdentity();
    const userId = identity && ctx.db.normalizeId("users", identity.subject);
    if (userId === null) {
      return [];
    }
    const accounts = await ctx.db
      .query("accounts")
      .withIndex("userId", (q) => q.eq("userId", userId))
      .take(LISTED);
    return accounts.map(({ provider, type }) => ({ provider, type }));
  },
});

/**
 * What others see of an author: the name in the token, else the name in the row, else the part of its address that is no
 * address. A token has a name only when the proxy's `token.claims` says so.
 */
async function authorOf(ctx: QueryCtx) {
  const identity = await ctx.auth.getUserIdentity();
  if (identity === null) {
    return "anonymous";
  }
  if (identity.name !== undefined) {
    return identity.name;
  }
  const user = await getUser(ctx, identity.subject);
  return user?.name || user?.email?.split("@")[0] || identity.email || identity.subject;
}
