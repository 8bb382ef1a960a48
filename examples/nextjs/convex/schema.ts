/**
 * The tables: Auth.js's own, and the messages of the demo.
 *
 * To keep more about a user, a session or an account, add the field here and nowhere else: the validators of the adapter's
 * functions are made from these. A field that is `v.optional` may be given as `null`, which clears it.
 *
 * Dates are numbers, in milliseconds since 1970, except `expires_at`, which OAuth counts in seconds.
 */
import { defineSchema, defineTable } from "convex/server";
import { type Validator, v } from "convex/values";

export const userFields = {
  name: v.optional(v.string()),
  // Not every provider tells one. No two users have the same: `createUser` and `updateUser` see to it.
  email: v.optional(v.string()),
  emailVerified: v.optional(v.number()),
  image: v.optional(v.string()),
};

export const sessionFields = {
  sessionToken: v.string(),
  userId: v.id("users"),
  expires: v.number(),
};

export const accountFields = {
  userId: v.id("users"),
  type: v.union(v.literal("oauth"), v.literal("oidc"), v.literal("email"), v.literal("webauthn")),
  provider: v.string(),
  providerAccountId: v.string(),
  access_token: v.optional(v.string()),
  refresh_token: v.optional(v.string()),
  id_token: v.optional(v.string()),
  expires_at: v.optional(v.number()),
  // Auth.js types it so; at run time it is any string.
  token_type: v.optional(v.string() as Validator<Lowercase<string>>),
  scope: v.optional(v.string()),
  session_state: v.optional(v.string()),
};

export const verificationTokenFields = {
  identifier: v.string(),
  token: v.string(),
  expires: v.number(),
};

export const authenticatorFields = {
  userId: v.id("users"),
  credentialID: v.string(),
  providerAccountId: v.string(),
  credentialPublicKey: v.string(),
  counter: v.number(),
  credentialDeviceType: v.string(),
  credentialBackedUp: v.boolean(),
  transports: v.optional(v.string()),
};

export const messageFields = {
  author: v.string(),
  body: v.string(),
  // Counts up, so that old messages can be found and dropped without reading the others.
  number: v.number(),
};

export default defineSchema({
  users: defineTable(userFields).index("email", ["email"]),
  sessions: defineTable(sessionFields)
    .index("sessionToken", ["sessionToken"])
    .index("userId", ["userId"])
    .index("expires", ["expires"]),
  accounts: defineTable(accountFields)
    .index("providerAndAccountId", ["provider", "providerAccountId"])
    .index("userId", ["userId"]),
  verificationTokens: defineTable(verificationTokenFields)
    .index("identifierToken", ["identifier", "token"])
    .index("token", ["token"])
    .index("expires", ["expires"]),
  authenticators: defineTable(authenticatorFields).index("credentialID", ["credentialID"]).index("userId", ["userId"]),
  messages: defineTable(messageFields).index("number", ["number"]),
});
