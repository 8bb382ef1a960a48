import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Id } from "../convex/_generated/dataModel";
import { internal } from "../convex/_generated/api";
import crons from "../convex/crons";
import { adapter, type Deployment, deployment, HOUR, rows } from "./deployment";

const future = Date.now() + HOUR;

// Nothing that is scheduled runs before a test says so.
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Inserts many rows in one go. */
function sessions(t: Deployment, userId: Id<"users">, count: number, expires: number, prefix: string) {
  return t.run(async (ctx) => {
    for (let number = 0; number < count; number++) {
      await ctx.db.insert("sessions", { userId, expires, sessionToken: `${prefix}${number}` });
    }
  });
}

function tokens(t: Deployment, identifier: string, count: number, expires: number) {
  return t.run(async (ctx) => {
    for (let number = 0; number < count; number++) {
      await ctx.db.insert("verificationTokens", { identifier, token: `${number}`, expires });
    }
  });
}

const scheduled = (t: Deployment) => t.run((ctx) => ctx.db.system.query("_scheduled_functions").collect());

test("a deleted user is returned once", async () => {
  const t = deployment();
  const { createUser, deleteUser, getUser } = adapter(t);
  const id = await createUser({ user: { email: "ada@example.com" } });
  expect(await deleteUser({ id })).toMatchObject({ _id: id, email: "ada@example.com" });
  expect(await getUser({ id })).toBeNull();
  expect(await deleteUser({ id })).toBeNull();
  expect(await deleteUser({ id: "not an id" })).toBeNull();
});

test("everything of a deleted user goes with them, and nothing of others", async () => {
  const t = deployment();
  const functions = adapter(t);
  const populate = async (name: string) => {
    const userId = await functions.createUser({ user: { email: `${name}@example.com` } });
    await functions.createSession({ session: { sessionToken: name, userId, expires: future } });
    await functions.linkAccount({
      account: { userId, type: "webauthn", provider: "passkey", providerAccountId: name },
    });
    await functions.createAuthenticator({
      authenticator: {
        userId,
        credentialID: name,
        providerAccountId: name,
        credentialPublicKey: "k",
        counter: 0,
        credentialDeviceType: "singleDevice",
        credentialBackedUp: false,
      },
    });
    await tokens(t, `${name}@example.com`, 1, future);
    return userId;
  };
  const ada = await populate("ada");
  const bob = await populate("bob");
  await functions.deleteUser({ id: ada });
  expect(await scheduled(t)).toEqual([]);
  expect(await rows(t, "users")).toMatchObject([{ _id: bob }]);
  for (const table of ["sessions", "accounts", "authenticators"] as const) {
    expect(await rows(t, table)).toMatchObject([{ userId: bob }]);
  }
  expect(await rows(t, "verificationTokens")).toMatchObject([{ identifier: "bob@example.com" }]);
});

test("a user without an address is deleted, and takes nobody's tokens along", async () => {
  const t = deployment();
  const { createUser, deleteUser } = adapter(t);
  await tokens(t, "bob@example.com", 1, future);
  await deleteUser({ id: await createUser({ user: { name: "Ada" } }) });
  expect(await rows(t, "users")).toEqual([]);
  expect(await rows(t, "verificationTokens")).toHaveLength(1);
});

test("all of 250 sessions are dead at once, and their rows go batch by batch", async () => {
  const t = deployment();
  const { createUser, deleteUser, getSessionAndUser } = adapter(t);
  const ada = await createUser({ user: { email: "ada@example.com" } });
  const bob = await createUser({ user: { email: "bob@example.com" } });
  await sessions(t, ada, 250, future, "ada");
  await sessions(t, bob, 3, future, "bob");
  expect(await getSessionAndUser({ sessionToken: "ada249" })).not.toBeNull();

  await deleteUser({ id: ada });
  for (let number = 0; number < 250; number++) {
    expect(await getSessionAndUser({ sessionToken: `ada${number}` })).toBeNull();
  }
  expect(await rows(t, "sessions")).toHaveLength(153);

  await t.finishAllScheduledFunctions(vi.runAllTimers);
  const left = await rows(t, "sessions");
  expect(left.map((session) => session.userId)).toEqual([bob, bob, bob]);
  expect(await scheduled(t)).toHaveLength(2);
});

test("a user whose rows still go cannot get new ones", async () => {
  const t = deployment();
  const { createUser, createSession, deleteUser } = adapter(t);
  const ada = await createUser({ user: { email: "ada@example.com" } });
  await sessions(t, ada, 150, future, "ada");
  await deleteUser({ id: ada });
  await expect(createSession({ session: { sessionToken: "new", userId: ada, expires: future } })).rejects.toThrow();
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await rows(t, "sessions")).toEqual([]);
});

test("somebody who signs up again at once keeps what they get, while the old rows go", async () => {
  const t = deployment();
  const { createUser, createSession, deleteUser, getUserByAccount, linkAccount } = adapter(t);
  const account = { type: "oidc", provider: "p", providerAccountId: "1" } as const;
  const old = await createUser({ user: { email: "ada@example.com" } });
  await sessions(t, old, 150, future, "old");
  await t.run(async (ctx) => {
    for (let number = 0; number < 100; number++) {
      await ctx.db.insert("accounts", { ...account, providerAccountId: `filler ${number}`, userId: old });
    }
    await ctx.db.insert("accounts", { ...account, userId: old });
  });
  await deleteUser({ id: old });
  expect(await rows(t, "accounts")).toMatchObject([account]);

  const userId = await createUser({ user: { email: "ada@example.com" } });
  await linkAccount({ account: { ...account, userId } });
  await createSession({ session: { sessionToken: "new", userId, expires: future } });
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect((await getUserByAccount({ provider: "p", providerAccountId: "1" }))?._id).toBe(userId);
  expect(await rows(t, "sessions")).toMatchObject([{ sessionToken: "new" }]);
});

test("no address of a deleted user is left in what is scheduled", async () => {
  const t = deployment();
  const { createUser, deleteUser } = adapter(t);
  const ada = await createUser({ user: { email: "ada@example.com" } });
  await sessions(t, ada, 101, future, "ada");
  await tokens(t, "ada@example.com", 101, future);
  await deleteUser({ id: ada });
  const [continuation] = await scheduled(t);
  expect(continuation.args).toEqual([{ userId: ada }]);
  expect(await rows(t, "verificationTokens")).toHaveLength(1);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
});

test("what has expired is deleted in batches, and what has not stays", async () => {
  const t = deployment();
  const { createUser } = adapter(t);
  const ada = await createUser({ user: { email: "ada@example.com" } });
  await sessions(t, ada, 230, Date.now() - 1, "dead");
  await sessions(t, ada, 2, future, "live");
  await tokens(t, "ada@example.com", 120, Date.now() - 1);
  await tokens(t, "bob@example.com", 1, future);

  await t.mutation(internal.cleanup.expired, {});
  expect(await rows(t, "sessions")).toHaveLength(132);
  expect(await rows(t, "verificationTokens")).toHaveLength(21);

  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect((await rows(t, "sessions")).map((session) => session.sessionToken)).toEqual(["live0", "live1"]);
  expect(await rows(t, "verificationTokens")).toMatchObject([{ identifier: "bob@example.com" }]);
  expect(await rows(t, "users")).toHaveLength(1);
  expect(await scheduled(t)).toHaveLength(2);
});

test("the cleanup goes on when only tokens are left", async () => {
  const t = deployment();
  await tokens(t, "ada@example.com", 250, 1);
  await t.mutation(internal.cleanup.expired, {});
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await rows(t, "verificationTokens")).toEqual([]);
});

test("the cleanup runs once a day", () => {
  expect(Object.values(crons.crons)).toMatchObject([{ name: "cleanup:expired", schedule: { type: "daily" } }]);
});
