import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import type { Adapter, AdapterAccount, AdapterAuthenticator, AdapterUser } from "@auth/core/adapters";

type Whole = Required<Adapter>;

const inAnHour = () => new Date(Date.now() + 3_600_000);
/** Ids that other databases give: no deployment has them, and a deployment refuses their shape. */
const FOREIGN_IDS = [randomUUID(), "1", "507f1f77bcf86cd799439011"];

/** What the `Adapter` interface promises, method by method, for an adapter of a real database. Each test makes its own rows. */
export function describeContract(way: string, adapter: () => Whole, skip: string | false): void {
  const it = (name: string, run: (adapter: Whole) => Promise<void>) => test(`${name}, ${way}`, { skip }, () => run(adapter()));

  it("a created user comes back whole, with an id of the database", async (adapter) => {
    const email = `${randomUUID()}@example.com`;
    const emailVerified = new Date("2026-01-02T03:04:05.678Z");
    const user = await adapter.createUser({ id: "given", email, name: "Ada", image: "https://example.com/a.png", emailVerified });
    assert.notEqual(user.id, "given");
    assert.deepEqual(user, { id: user.id, email, name: "Ada", image: "https://example.com/a.png", emailVerified });
    assert.deepEqual(await adapter.getUser(user.id), user);
    assert.deepEqual(await adapter.getUserByEmail(email), user);
  });

  it("a user without name, image and verification has null where the contract says so", async (adapter) => {
    const email = `${randomUUID()}@example.com`;
    const user = await adapter.createUser({ id: "given", email, name: null, emailVerified: null } as AdapterUser);
    assert.deepEqual(user, { id: user.id, email, emailVerified: null });
    assert.deepEqual(await adapter.getUser(user.id), user);
  });

  it("who is not there is null, whatever the id looks like", async (adapter) => {
    for (const id of FOREIGN_IDS) assert.equal(await adapter.getUser(id), null);
    assert.equal(await adapter.getUserByEmail(`${randomUUID()}@example.com`), null);
    assert.equal(await adapter.getUserByAccount({ provider: "oidc", providerAccountId: randomUUID() }), null);
    const { id } = await newUser(adapter);
    await adapter.deleteUser(id);
    assert.equal(await adapter.getUser(id), null);
  });

  it("an updated user comes back as stored, with what was not given", async (adapter) => {
    const user = await newUser(adapter);
    const emailVerified = new Date();
    const updated = await adapter.updateUser({ id: user.id, emailVerified });
    assert.deepEqual(updated, { ...user, emailVerified });
    assert.deepEqual(await adapter.updateUser({ id: user.id, name: "Grace" }), { ...updated, name: "Grace" });
    assert.deepEqual(await adapter.getUser(user.id), { ...updated, name: "Grace" });
  });

  it("an update of nobody is an error", async (adapter) => {
    for (const id of FOREIGN_IDS) {
      await assert.rejects(async () => adapter.updateUser({ id, name: "Nobody" }), { name: "ConvexAuthProxyError", method: "updateUser" });
    }
    const { id } = await newUser(adapter);
    await adapter.deleteUser(id);
    await assert.rejects(async () => adapter.updateUser({ id, name: "Nobody" }), { code: "UserNotFound", status: 404 });
  });

  it("a deleted user takes sessions and accounts along", async (adapter) => {
    const user = await newUser(adapter);
    const account = accountOf(user);
    const sessionToken = randomUUID();
    await adapter.linkAccount(account);
    await adapter.createSession({ sessionToken, userId: user.id, expires: inAnHour() });
    await adapter.deleteUser(user.id);
    assert.equal(await adapter.getUser(user.id), null);
    assert.equal(await adapter.getUserByEmail(user.email), null);
    assert.equal(await adapter.getSessionAndUser(sessionToken), null);
    assert.equal(await adapter.getUserByAccount(account), null);
    assert.equal(await adapter.getAccount(account.providerAccountId, account.provider), null);
    for (const id of [user.id, ...FOREIGN_IDS]) assert.equal((await adapter.deleteUser(id)) ?? null, null);
  });

  it("an account is linked, found by its key, and comes back without an id of its own", async (adapter) => {
    const user = await newUser(adapter);
    const account = {
      ...accountOf(user),
      access_token: "access",
      refresh_token: "refresh",
      id_token: "id",
      expires_at: 1764066030,
      token_type: "bearer" as const,
      scope: "openid",
      session_state: "state",
    };
    assert.deepEqual(await adapter.linkAccount(account), account);
    assert.deepEqual(await adapter.getAccount(account.providerAccountId, account.provider), account);
    assert.deepEqual(await adapter.getUserByAccount(account), user);
    assert.equal(await adapter.getAccount(account.provider, account.providerAccountId), null, "the order of the arguments matters");
    assert.equal(await adapter.getAccount(randomUUID(), account.provider), null);
  });

  it("an account may have nulls and members that nobody knows", async (adapter) => {
    const user = await newUser(adapter);
    const account = accountOf(user);
    await adapter.linkAccount({ ...account, scope: null, refresh_token_expires_in: 3600, "not-before-policy": 0 } as unknown as AdapterAccount);
    assert.deepEqual(await adapter.getAccount(account.providerAccountId, account.provider), account);
  });

  it("an unlinked account is gone, and unlinking it again is no error", async (adapter) => {
    const user = await newUser(adapter);
    const account = accountOf(user);
    await adapter.linkAccount(account);
    assert.deepEqual(await adapter.unlinkAccount(account), account);
    assert.equal(await adapter.getAccount(account.providerAccountId, account.provider), null);
    assert.equal(await adapter.getUserByAccount(account), null);
    assert.equal(await adapter.unlinkAccount(account), undefined);
    assert.deepEqual(await adapter.getUser(user.id), user);
  });

  it("a session is created, read with its user, prolonged and deleted", async (adapter) => {
    const user = await newUser(adapter);
    const sessionToken = randomUUID();
    assert.equal(await adapter.getSessionAndUser(sessionToken), null);
    const expires = inAnHour();
    const session = await adapter.createSession({ sessionToken, userId: user.id, expires });
    const { id } = session as unknown as { id: string };
    assert.equal(typeof id, "string");
    assert.deepEqual(session, { id, sessionToken, userId: user.id, expires });
    assert.deepEqual(await adapter.getSessionAndUser(sessionToken), { session, user });

    const later = new Date(expires.getTime() + 60_001);
    assert.deepEqual(await adapter.updateSession({ sessionToken, expires: later }), { ...session, expires: later });
    assert.deepEqual(await adapter.getSessionAndUser(sessionToken), { session: { ...session, expires: later }, user });

    assert.deepEqual(await adapter.deleteSession(sessionToken), { ...session, expires: later });
    assert.equal(await adapter.getSessionAndUser(sessionToken), null);
    assert.equal((await adapter.deleteSession(sessionToken)) ?? null, null);
  });

  it("a session is updated with all its members or some, and one that is not there with none", async (adapter) => {
    const user = await newUser(adapter);
    const session = { sessionToken: randomUUID(), userId: user.id, expires: inAnHour() };
    const created = await adapter.createSession(session);
    assert.deepEqual(await adapter.updateSession(session), created);
    assert.deepEqual(await adapter.updateSession({ sessionToken: session.sessionToken }), created);
    assert.equal((await adapter.updateSession({ sessionToken: randomUUID(), expires: inAnHour() })) ?? null, null);
  });

  it("an expired session is read as it is: deleting it is Auth.js's business", async (adapter) => {
    const user = await newUser(adapter);
    const session = { sessionToken: randomUUID(), userId: user.id, expires: new Date(Date.now() - 1000) };
    const created = await adapter.createSession(session);
    assert.deepEqual(await adapter.getSessionAndUser(session.sessionToken), { session: created, user });
  });

  it("a change of a user is seen in the next read of the session", async (adapter) => {
    const user = await newUser(adapter);
    const sessionToken = randomUUID();
    await adapter.createSession({ sessionToken, userId: user.id, expires: inAnHour() });
    await adapter.getSessionAndUser(sessionToken);
    await adapter.updateUser({ id: user.id, name: "Changed" });
    assert.equal((await adapter.getSessionAndUser(sessionToken))?.user.name, "Changed");
  });

  it("a verification token is good for one use", async (adapter) => {
    const verification = { identifier: `${randomUUID()}@example.com`, token: randomUUID(), expires: inAnHour() };
    assert.deepEqual(await adapter.createVerificationToken(verification), verification);
    assert.equal(await adapter.useVerificationToken({ identifier: "somebody@example.com", token: verification.token }), null);
    assert.equal(await adapter.useVerificationToken({ identifier: verification.identifier, token: randomUUID() }), null);
    assert.deepEqual(await adapter.useVerificationToken(verification), verification);
    assert.equal(await adapter.useVerificationToken(verification), null);
  });

  it("of many uses of a verification token at once one succeeds", async (adapter) => {
    const verification = { identifier: `${randomUUID()}@example.com`, token: randomUUID(), expires: inAnHour() };
    await adapter.createVerificationToken(verification);
    const uses = await Promise.all(Array.from({ length: 5 }, () => adapter.useVerificationToken(verification)));
    assert.deepEqual(uses.filter((used) => used !== null), [verification]);
  });

  it("an unknown identifier finds no token and is no error", async (adapter) => {
    assert.equal(await adapter.useVerificationToken({ identifier: undefined as unknown as string, token: randomUUID() }), null);
  });

  it("an authenticator is created, found and counted on", async (adapter) => {
    const user = await newUser(adapter);
    const authenticator = authenticatorOf(user, { transports: "usb,nfc" });
    assert.deepEqual(await adapter.createAuthenticator(authenticator), authenticator);
    assert.deepEqual(await adapter.getAuthenticator(authenticator.credentialID), authenticator);
    const counted = { ...authenticator, counter: 7 };
    assert.deepEqual(await adapter.updateAuthenticatorCounter(authenticator.credentialID, 7), counted);
    assert.deepEqual(await adapter.getAuthenticator(authenticator.credentialID), counted);
  });

  it("an authenticator may have null for its transports", async (adapter) => {
    const user = await newUser(adapter);
    const { transports: _, ...without } = authenticatorOf(user, { transports: null });
    const created = await adapter.createAuthenticator({ ...without, transports: null });
    assert.deepEqual({ ...created, transports: null }, { ...without, transports: null });
    const { transports, ...read } = (await adapter.getAuthenticator(without.credentialID))!;
    assert.deepEqual([read, transports ?? null], [without, null]);
  });

  it("an authenticator that is not there is null, and its counter an error", async (adapter) => {
    assert.equal(await adapter.getAuthenticator(randomUUID()), null);
    await assert.rejects(async () => adapter.updateAuthenticatorCounter(randomUUID(), 1), { name: "ConvexAuthProxyError" });
  });

  it("a user's authenticators are listed, the newest first, and nobody's are an empty list", async (adapter) => {
    const user = await newUser(adapter);
    assert.deepEqual(await adapter.listAuthenticatorsByUserId(user.id), []);
    for (const id of FOREIGN_IDS) assert.deepEqual(await adapter.listAuthenticatorsByUserId(id), []);
    const made: AdapterAuthenticator[] = [];
    for (let count = 0; count < 3; count++) made.push(await adapter.createAuthenticator(authenticatorOf(user, { counter: count })));
    await adapter.createAuthenticator(authenticatorOf(await newUser(adapter)));
    assert.deepEqual(await adapter.listAuthenticatorsByUserId(user.id), made.reverse());
  });
}

async function newUser(adapter: Whole): Promise<AdapterUser> {
  const user = { id: "given", email: `${randomUUID()}@example.com`, name: "Ada", image: "https://example.com/a.png", emailVerified: null };
  return adapter.createUser(user);
}

function accountOf(user: AdapterUser): AdapterAccount {
  return { userId: user.id, type: "oidc", provider: "oidc", providerAccountId: randomUUID() };
}

function authenticatorOf(user: AdapterUser, more: Partial<AdapterAuthenticator> = {}): AdapterAuthenticator {
  return {
    userId: user.id,
    credentialID: randomUUID(),
    providerAccountId: randomUUID(),
    credentialPublicKey: "key",
    counter: 0,
    credentialDeviceType: "multiDevice",
    credentialBackedUp: true,
    transports: "internal",
    ...more,
  };
}
