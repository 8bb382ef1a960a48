import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { ConvexAuthProxyAdapter } from "convex-auth-proxy-adapter";

import { answering, fakeProxy } from "./lib/fake-proxy.js";

const WHEN = "2026-11-25T10:20:30.456Z";
const date = new Date(WHEN);

const wireUser = { id: "u1", email: "a@example.com", name: "A", image: null, emailVerified: WHEN };
const user = { ...wireUser, emailVerified: date };
const wireSession = { id: "s1", sessionToken: "t1", userId: "u1", expires: WHEN };
const session = { ...wireSession, expires: date };
const wireVerification = { identifier: "a@example.com", token: "hash", expires: WHEN };
const verification = { ...wireVerification, expires: date };
const account = { userId: "u1", type: "oidc" as const, provider: "p", providerAccountId: "1", expires_at: 1764066030 };
const authenticator = {
  credentialID: "c1",
  userId: "u1",
  providerAccountId: "1",
  credentialPublicKey: "key",
  counter: 3,
  credentialDeviceType: "singleDevice",
  credentialBackedUp: false,
  transports: null,
};

/** Calls one method against a server that answers `answer`; gives what the method gave, and what was sent. */
async function roundTrip(t: TestContext, method: string, args: unknown[], answer: unknown) {
  const proxy = await fakeProxy(t, answering({ [method]: answer }));
  const adapter = ConvexAuthProxyAdapter({ url: proxy.url }) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const result = await adapter[method]!(...args);
  assert.equal(proxy.received.length, 1);
  return { result, path: proxy.received[0]!.path, sent: proxy.received[0]!.body as unknown };
}

const cases: [method: string, args: unknown[], sent: unknown, answer: unknown, result: unknown][] = [
  ["createUser", [user], { user: wireUser }, wireUser, user],
  ["getUser", ["u1"], { id: "u1" }, wireUser, user],
  ["getUser", ["u1"], { id: "u1" }, null, null],
  ["getUserByEmail", ["a@example.com"], { email: "a@example.com" }, { ...wireUser, emailVerified: null }, { ...user, emailVerified: null }],
  ["getUserByEmail", ["a@example.com"], { email: "a@example.com" }, null, null],
  ["getUserByAccount", [account], { provider: "p", providerAccountId: "1" }, wireUser, user],
  ["getUserByAccount", [account], { provider: "p", providerAccountId: "1" }, null, null],
  ["updateUser", [{ id: "u1", name: null, image: undefined }], { user: { id: "u1", name: null } }, wireUser, user],
  ["deleteUser", ["u1"], { id: "u1" }, wireUser, user],
  ["deleteUser", ["u1"], { id: "u1" }, null, null],
  ["linkAccount", [account], { account }, account, account],
  ["linkAccount", [account], { account }, null, null],
  ["unlinkAccount", [account], { provider: "p", providerAccountId: "1" }, account, account],
  ["unlinkAccount", [account], { provider: "p", providerAccountId: "1" }, null, undefined],
  ["getAccount", ["1", "p"], { provider: "p", providerAccountId: "1" }, account, account],
  ["getAccount", ["1", "p"], { provider: "p", providerAccountId: "1" }, null, null],
  ["createSession", [{ sessionToken: "t1", userId: "u1", expires: date }], { session: { sessionToken: "t1", userId: "u1", expires: WHEN } }, wireSession, session],
  ["getSessionAndUser", ["t1"], { sessionToken: "t1" }, { session: wireSession, user: wireUser }, { session, user }],
  ["getSessionAndUser", ["t1"], { sessionToken: "t1" }, null, null],
  ["updateSession", [{ sessionToken: "t1", expires: date }], { session: { sessionToken: "t1", expires: WHEN } }, wireSession, session],
  ["updateSession", [{ sessionToken: "t1" }], { session: { sessionToken: "t1" } }, null, null],
  ["deleteSession", ["t1"], { sessionToken: "t1" }, wireSession, session],
  ["deleteSession", ["t1"], { sessionToken: "t1" }, null, null],
  ["createVerificationToken", [verification], { verificationToken: wireVerification }, wireVerification, verification],
  ["useVerificationToken", [{ identifier: "a", token: "t" }], { identifier: "a", token: "t" }, wireVerification, verification],
  ["useVerificationToken", [{ identifier: undefined, token: "t" }], { identifier: null, token: "t" }, null, null],
  ["createAuthenticator", [authenticator], { authenticator }, authenticator, authenticator],
  ["getAuthenticator", ["c1"], { credentialID: "c1" }, authenticator, authenticator],
  ["getAuthenticator", ["c1"], { credentialID: "c1" }, null, null],
  ["listAuthenticatorsByUserId", ["u1"], { userId: "u1" }, [authenticator], [authenticator]],
  ["listAuthenticatorsByUserId", ["u1"], { userId: "u1" }, [], []],
  ["updateAuthenticatorCounter", ["c1", 4], { credentialID: "c1", newCounter: 4 }, { ...authenticator, counter: 4 }, { ...authenticator, counter: 4 }],
];

for (const [method, args, sent, answer, result] of cases) {
  test(`${method} sends its arguments and reads ${answer === null ? "null" : "the row"}`, async (t) => {
    const trip = await roundTrip(t, method, args, answer);
    assert.equal(trip.path, `POST /adapter/${method}`);
    assert.deepEqual(trip.sent, sent);
    assert.deepEqual(trip.result, result);
  });
}

test("the table has every method of the contract and nothing else", () => {
  assert.equal(new Set(cases.map(([method]) => method)).size, 19);
  assert.deepEqual(Object.keys(ConvexAuthProxyAdapter()).sort(), [...new Set(cases.map(([method]) => method))].sort());
});

test("a member of a user's own that is named like a date stays as it is", async (t) => {
  const own = { ...wireUser, expires: WHEN, profile: { emailVerified: WHEN } };
  const { result } = await roundTrip(t, "getUser", ["u1"], own);
  assert.deepEqual(result, { ...own, emailVerified: date });
});

test("an account's members are never read as dates", async (t) => {
  const own = { ...account, expires: WHEN, emailVerified: WHEN };
  const { result } = await roundTrip(t, "getAccount", ["1", "p"], own);
  assert.deepEqual(result, own);
});

test("a user without emailVerified has null there", async (t) => {
  const { result } = await roundTrip(t, "getUser", ["u1"], { id: "u1", email: "a@example.com" });
  assert.deepEqual(result, { id: "u1", email: "a@example.com", emailVerified: null });
});

test("null stays null in an account and undefined is left out", async (t) => {
  const { sent } = await roundTrip(t, "linkAccount", [{ ...account, scope: null, id_token: undefined }], null);
  assert.deepEqual(sent, { account: { ...account, scope: null } });
});

test("a path in the URL is kept, with or without a slash at its end", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null }));
  for (const url of [`${proxy.url}/`, `${proxy.url}/behind/it`, `${proxy.url}/behind/it//`]) {
    assert.equal(await ConvexAuthProxyAdapter({ url }).getUser("u1"), null);
  }
  assert.deepEqual(proxy.received.map(({ path }) => path), [
    "POST /adapter/getUser",
    "POST /behind/it/adapter/getUser",
    "POST /behind/it/adapter/getUser",
  ]);
});

test("URL and token come from the environment, at the time of the call", async (t) => {
  const proxy = await fakeProxy(t, answering({ getUser: null }));
  const adapter = ConvexAuthProxyAdapter();
  t.after(() => {
    delete process.env.CONVEX_ADAPTER_URL;
    delete process.env.CONVEX_ADAPTER_TOKEN;
  });
  process.env.CONVEX_ADAPTER_URL = proxy.url;
  await adapter.getUser("u1");
  process.env.CONVEX_ADAPTER_TOKEN = "caller";
  await adapter.getUser("u1");
  await ConvexAuthProxyAdapter({ token: "given" }).getUser("u1");
  assert.deepEqual(proxy.received.map(({ headers }) => headers.authorization), [undefined, "Bearer caller", "Bearer given"]);
  assert.equal(proxy.received[0]!.headers["content-type"], "application/json");
});
