/**
 * The door of the adapter's functions. They are public, as Convex knows no other kind that a server could call without an
 * administrator's key; so each demands the secret that the app's server, or the proxy, shares with this deployment.
 */
import { type ObjectType, type PropertyValidators, v } from "convex/values";
import type { RegisteredMutation, RegisteredQuery } from "convex/server";
import { type MutationCtx, mutation, type QueryCtx, query } from "../_generated/server";
import { refusal } from "./refusal";

type WithSecret<Args extends PropertyValidators> = ObjectType<Args> & { secret: string };

type Definition<Args extends PropertyValidators, Ctx, Result> = {
  args: Args;
  handler: (ctx: Ctx, args: ObjectType<Args>) => Promise<Result>;
};

/** A query that takes `secret` beside its own arguments, and runs only when it is the right one. */
export function adapterQuery<Args extends PropertyValidators, Result>(definition: Definition<Args, QueryCtx, Result>) {
  const registered: unknown = query(guarded(definition));
  return registered as RegisteredQuery<"public", WithSecret<Args>, Promise<Result>>;
}

/** A mutation that takes `secret` beside its own arguments, and runs only when it is the right one. */
export function adapterMutation<Args extends PropertyValidators, Result>(
  definition: Definition<Args, MutationCtx, Result>,
) {
  const registered: unknown = mutation(guarded(definition));
  return registered as RegisteredMutation<"public", WithSecret<Args>, Promise<Result>>;
}

/** The types of the arguments are lost here, as TypeScript cannot take `secret` off a generic; the callers give them back. */
function guarded<Args extends PropertyValidators, Ctx, Result>({ args, handler }: Definition<Args, Ctx, Result>) {
  return {
    args: { ...args, secret: v.string() } as PropertyValidators,
    handler: async (ctx: Ctx, { secret, ...rest }: ObjectType<PropertyValidators>) => {
      await checkSecret(secret);
      return await handler(ctx, rest as ObjectType<Args>);
    },
  };
}

async function checkSecret(given: string) {
  // Read when called: read at import, a missing variable would fail the push of all functions.
  const expected = process.env.CONVEX_AUTH_ADAPTER_SECRET;
  if (!expected) {
    throw refusal("AdapterSecretMissing");
  }
  if (!(await equal(given, expected))) {
    throw refusal("AdapterSecretWrong");
  }
}

/**
 * Whether two texts are the same, in a time that does not tell how much of them is. Convex's runtime has no
 * `timingSafeEqual`. The hashes have one length whatever the texts have, every byte of them is looked at, and a guess that
 * comes closer to the secret comes no closer to its hash.
 */
async function equal(left: string, right: string) {
  const [a, b] = await Promise.all([sha256(left), sha256(right)]);
  let difference = 0;
  for (let index = 0; index < a.length; index++) {
    difference |= a[index] ^ b[index];
  }
  return difference === 0;
}

async function sha256(text: string) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
