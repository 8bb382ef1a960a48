import { beforeEach, expect, test } from "vitest";
import type { Id } from "../convex/_generated/dataModel";
import {
  type Adapter,
  adapter,
  type Deployment,
  deployment,
  expectRefusal,
  insert,
  race,
  remove,
  rows,
} from "./deployment";

const key = { provider: "github", providerAccountId: "1" };
let t: Deployment;
let functions: Adapter;
let ada: Id<"users">;
let bob: Id<"users">;

beforeEach(async () => {
  t = deployment();
  functions = adapter(t);
  ada = await functions.createUser({ user: { email: "ada@example.com" } });
  bob = await functions.createUser({ user: { email: "bob@example.com" } });
});

const accountOf = (userId: string) => ({ ...key, userId, type: "oauth" as const });

test("a linked account is found, and so is its user", async () => {
  const linked = await functions.linkAccount({ account: { ...accountOf(ada), access_token: "a", expires_at: 9 } });
  expect(linked).toMatchObject({ ...accountOf(ada), access_token: "a", expires_at: 9 });
  expect(await functions.getAccount(key)).toEqual(linked);
  expect((await functions.getUserByAccount(key))?._id).toBe(ada);
});

test("both parts of an account's key count", async () => {
  await functions.linkAccount({ account: accountOf(ada) });
  for (const other of [
    { ...key, provider: "gitlab" },
    { ...key, providerAccountId: "2" },
  ]) {
    expect(await functions.getAccount(other)).toBeNull();
    expect(await functions.getUserByAccount(other)).toBeNull();
    expect(await functions.unlinkAccount(other)).toBeNull();
  }
});

test("a null of an account is left out", async () => {
  const linked = await functions.linkAccount({
    account: { ...accountOf(ada), refresh_token: null, scope: null, expires_at: null, session_state: null },
  });
  expect(Object.keys(linked ?? {}).sort()).toEqual([
    "_creationTime",
    "_id",
    "provider",
    "providerAccountId",
    "type",
    "userId",
  ]);
});

test.each(["oauth", "oidc", "email", "webauthn"] as const)("an account may be of type %s", async (type) => {
  expect(await functions.linkAccount({ account: { ...accountOf(ada), type } })).toMatchObject({ type });
});

test("the same account again for the same user is one account with the newer tokens", async () => {
  const first = await functions.linkAccount({ account: { ...accountOf(ada), access_token: "old", scope: "read" } });
  const again = await functions.linkAccount({ account: { ...accountOf(ada), access_token: "new" } });
  expect(again).toEqual({ ...first, access_token: "new" });
  expect(await rows(t, "accounts")).toEqual([again]);
});

test("an account that is linked to another user is not taken from them", async () => {
  const linked = await functions.linkAccount({ account: accountOf(ada) });
  await expectRefusal(functions.linkAccount({ account: accountOf(bob) }), "AccountLinkedToOther");
  expect(await rows(t, "accounts")).toEqual([linked]);
});

test("of two users that race for one account, one is refused", async () => {
  expect(
    await race(functions.linkAccount({ account: accountOf(ada) }), functions.linkAccount({ account: accountOf(bob) })),
  ).toEqual({ succeeded: 1, codes: ["AccountLinkedToOther"] });
  expect(await rows(t, "accounts")).toHaveLength(1);
});

test("no account is linked to nobody", async () => {
  await remove(t, bob);
  await expectRefusal(functions.linkAccount({ account: accountOf(bob) }), "UserNotFound");
  await expectRefusal(functions.linkAccount({ account: accountOf("not an id") }), "UserNotFound");
  expect(await rows(t, "accounts")).toEqual([]);
});

test("an account whose user is gone is free", async () => {
  await functions.linkAccount({ account: accountOf(ada) });
  await remove(t, ada);
  expect(await functions.getAccount(key)).toBeNull();
  expect(await functions.getUserByAccount(key)).toBeNull();
  expect(await functions.linkAccount({ account: accountOf(bob) })).toMatchObject({ userId: bob });
  expect(await rows(t, "accounts")).toHaveLength(1);
});

test("unlinkAccount returns the account once", async () => {
  const linked = await functions.linkAccount({ account: accountOf(ada) });
  const other = await functions.linkAccount({ account: { ...accountOf(ada), provider: "gitlab" } });
  expect(await functions.unlinkAccount(key)).toEqual(linked);
  expect(await functions.unlinkAccount(key)).toBeNull();
  expect(await rows(t, "accounts")).toEqual([other]);
});

const passkey = (userId: string, credentialID: string) => ({
  userId,
  credentialID,
  providerAccountId: credentialID,
  credentialPublicKey: "k",
  counter: 0,
  credentialDeviceType: "multiDevice",
  credentialBackedUp: true,
});

test("unlinking a passkey deletes its authenticator, and no other", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada, "1") });
  await functions.createAuthenticator({ authenticator: passkey(ada, "2") });
  await functions.linkAccount({ account: { ...accountOf(ada), provider: "passkey", type: "webauthn" } });
  await functions.unlinkAccount({ ...key, provider: "passkey" });
  expect(await rows(t, "authenticators")).toMatchObject([{ credentialID: "2" }]);
});

test("unlinking another kind of account deletes no authenticator, whatever its id", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada, "1") });
  await functions.linkAccount({ account: accountOf(ada) });
  await functions.unlinkAccount(key);
  expect(await rows(t, "authenticators")).toHaveLength(1);
});

test("of rows that one account had before it was unique, the oldest with a user counts and all are unlinked", async () => {
  const ghost = await functions.createUser({ user: {} });
  await insert(t, "accounts", accountOf(ghost) as never);
  const oldest = await insert(t, "accounts", accountOf(ada) as never);
  await insert(t, "accounts", accountOf(bob) as never);
  await remove(t, ghost);
  expect((await functions.getAccount(key))?._id).toBe(oldest);
  expect((await functions.getUserByAccount(key))?._id).toBe(ada);
  await functions.unlinkAccount(key);
  expect(await rows(t, "accounts")).toEqual([]);
});
