/** What runs by itself, batch by batch. Internal: no client can call it. */
import { v } from "convex/values";
import { internalMutation } from "./_generated/server";
import { deleteDependants, deleteExpired } from "./model/cleanup";

/** The rest of `deleteUser`. */
export const dependants = internalMutation({
  args: { userId: v.id("users") },
  returns: v.null(),
  handler: async (ctx, { userId }): Promise<null> => {
    await deleteDependants(ctx, userId);
    return null;
  },
});

/** Sessions and verification tokens that have expired. */
export const expired = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx): Promise<null> => {
    await deleteExpired(ctx);
    return null;
  },
});
