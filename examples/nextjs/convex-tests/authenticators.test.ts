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

const passkey = (userId: string, credentialID = "c", counter = 0) => ({
  userId,
  credentialID,
  providerAccountId: credentialID,
  credentialPublicKey: "k",
  counter,
  credentialDeviceType: "multiDevice",
  credentialBackedUp: true,
});

test("a created authenticator is found by its credential", async () => {
  const _id = await functions.createAuthenticator({ authenticator: { ...passkey(ada), transports: "usb" } });
  expect(await functions.getAuthenticator({ credentialID: "c" })).toMatchObject({
    _id,
    ...passkey(ada),
    transports: "usb",
  });
  expect(await functions.getAuthenticator({ credentialID: "d" })).toBeNull();
});

test("transports may be null, and are then left out", async () => {
  await functions.createAuthenticator({ authenticator: { ...passkey(ada), transports: null } });
  expect(await functions.getAuthenticator({ credentialID: "c" })).not.toHaveProperty("transports");
});

test("a user's authenticators are listed, the newest first", async () => {
  for (const credentialID of ["1", "2", "3"]) {
    await functions.createAuthenticator({ authenticator: passkey(ada, credentialID) });
  }
  await functions.createAuthenticator({ authenticator: passkey(bob, "4") });
  const listed = await functions.listAuthenticatorsByUserId({ userId: ada });
  expect(listed.map((row) => row.credentialID)).toEqual(["3", "2", "1"]);
});

test("nobody has no authenticators", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada) });
  expect(await functions.listAuthenticatorsByUserId({ userId: bob })).toEqual([]);
  expect(await functions.listAuthenticatorsByUserId({ userId: "invalid-user-id" })).toEqual([]);
});

test("the same authenticator again gets the id that it has", async () => {
  const id = await functions.createAuthenticator({ authenticator: passkey(ada) });
  expect(await functions.createAuthenticator({ authenticator: passkey(ada) })).toBe(id);
  expect(await rows(t, "authenticators")).toHaveLength(1);
});

test("a credential belongs to one authenticator", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada) });
  await expectRefusal(functions.createAuthenticator({ authenticator: passkey(bob) }), "AuthenticatorTaken");
  await expectRefusal(
    functions.createAuthenticator({ authenticator: { ...passkey(ada), credentialPublicKey: "other" } }),
    "AuthenticatorTaken",
  );
  expect(await rows(t, "authenticators")).toMatchObject([passkey(ada)]);
});

test("of two users that race for one credential, one is refused", async () => {
  expect(
    await race(
      functions.createAuthenticator({ authenticator: passkey(ada) }),
      functions.createAuthenticator({ authenticator: passkey(bob) }),
    ),
  ).toEqual({ succeeded: 1, codes: ["AuthenticatorTaken"] });
});

test("no authenticator is made for nobody", async () => {
  await remove(t, bob);
  await expectRefusal(functions.createAuthenticator({ authenticator: passkey(bob) }), "UserNotFound");
  await expectRefusal(functions.createAuthenticator({ authenticator: passkey("not an id") }), "UserNotFound");
});

test("a counter rises, and the row is returned as it is stored", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada, "c", 4) });
  const updated = await functions.updateAuthenticatorCounter({ credentialID: "c", newCounter: 9 });
  expect(updated).toMatchObject({ ...passkey(ada), counter: 9 });
  expect(await rows(t, "authenticators")).toEqual([updated]);
});

test("a counter that does not count, and a repeated update, are accepted", async () => {
  await functions.createAuthenticator({ authenticator: passkey(ada, "zero", 0) });
  await functions.createAuthenticator({ authenticator: passkey(ada, "four", 4) });
  expect(await functions.updateAuthenticatorCounter({ credentialID: "zero", newCounter: 0 })).toMatchObject({
    counter: 0,
  });
  expect(await functions.updateAuthenticatorCounter({ credentialID: "four", newCounter: 4 })).toMatchObject({
    counter: 4,
  });
});

test.each([3, 0, Number.NaN])(
  "a counter of 4 does not become %d: the passkey may have been copied",
  async (newCounter) => {
    await functions.createAuthenticator({ authenticator: passkey(ada, "c", 4) });
    await expectRefusal(
      functions.updateAuthenticatorCounter({ credentialID: "c", newCounter }),
      "AuthenticatorCounterLower",
    );
    expect(await rows(t, "authenticators")).toMatchObject([{ counter: 4 }]);
  },
);

test("the counter of an authenticator that is not there cannot be updated", async () => {
  await expectRefusal(
    functions.updateAuthenticatorCounter({ credentialID: "c", newCounter: 1 }),
    "AuthenticatorNotFound",
  );
});

test("of authenticators that had one credential before it was unique, the oldest counts", async () => {
  const oldest = await insert(t, "authenticators", passkey(ada) as never);
  await insert(t, "authenticators", passkey(bob) as never);
  expect((await functions.getAuthenticator({ credentialID: "c" }))?._id).toBe(oldest);
  expect((await functions.updateAuthenticatorCounter({ credentialID: "c", newCounter: 1 }))._id).toBe(oldest);
});
