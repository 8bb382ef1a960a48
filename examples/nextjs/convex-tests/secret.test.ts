import { expect, test, vi } from "vitest";
import * as authAdapter from "../convex/authAdapter";
import { call, deployment, expectRefusal, type FunctionName, SECRET } from "./deployment";

const user = "10000;users";
const account = { userId: user, type: "oidc", provider: "p", providerAccountId: "a" };
const key = { provider: "p", providerAccountId: "a" };
const session = { sessionToken: "s", userId: user, expires: 1 };
const authenticator = {
  userId: user,
  credentialID: "c",
  providerAccountId: "c",
  credentialPublicKey: "k",
  counter: 0,
  credentialDeviceType: "multiDevice",
  credentialBackedUp: true,
};

/** Arguments that each function takes, the secret apart. */
const everyFunction: Record<FunctionName, object> = {
  createAuthenticator: { authenticator },
  createSession: { session },
  createUser: { user: { email: "a@example.com" } },
  createVerificationToken: { verificationToken: { identifier: "i", token: "t", expires: 1 } },
  deleteSession: { sessionToken: "s" },
  deleteUser: { id: user },
  getAccount: key,
  getAuthenticator: { credentialID: "c" },
  getSessionAndUser: { sessionToken: "s" },
  getUser: { id: user },
  getUserByAccount: key,
  getUserByEmail: { email: "a@example.com" },
  linkAccount: { account },
  listAuthenticatorsByUserId: { userId: user },
  unlinkAccount: key,
  updateAuthenticatorCounter: { credentialID: "c", newCounter: 1 },
  updateSession: { session: { sessionToken: "s", expires: 1 } },
  updateUser: { user: { id: user } },
  useVerificationToken: { identifier: "i", token: "t" },
};

test("the module holds the 19 functions of the contract and nothing else", () => {
  expect(Object.keys(authAdapter).sort()).toEqual(Object.keys(everyFunction).sort());
});

test.each(Object.entries(everyFunction))("%s demands the secret", async (name, args) => {
  const t = deployment();
  await expectRefusal(call(t, name, { ...args, secret: "wrong" }), "AdapterSecretWrong");
  await expect(call(t, name, args)).rejects.toThrow("secret");
  await expect(call(t, name, { ...args, secret: null })).rejects.toThrow();
});

test.each(Object.entries(everyFunction))("%s says that the deployment has no secret", async (name, args) => {
  const t = deployment();
  for (const missing of [undefined, ""]) {
    vi.stubEnv("CONVEX_AUTH_ADAPTER_SECRET", missing);
    await expectRefusal(call(t, name, { ...args, secret: "" }), "AdapterSecretMissing");
  }
});

test("a secret that is nearly right is wrong", async () => {
  const t = deployment();
  const last = SECRET.slice(0, -1);
  for (const secret of [
    "",
    SECRET.slice(1),
    last,
    `${last}?`,
    `?${SECRET.slice(1)}`,
    `${SECRET} `,
    SECRET.toUpperCase(),
  ]) {
    await expectRefusal(call(t, "getUser", { id: user, secret }), "AdapterSecretWrong");
  }
  expect(await call(t, "getUser", { id: user, secret: SECRET })).toBeNull();
});

test("secrets that differ in a byte of their text are told apart beyond ASCII", async () => {
  const t = deployment();
  vi.stubEnv("CONVEX_AUTH_ADAPTER_SECRET", "geheim-\u00e4");
  expect(await call(t, "getUser", { id: user, secret: "geheim-\u00e4" })).toBeNull();
  await expectRefusal(call(t, "getUser", { id: user, secret: "geheim-\u00e5" }), "AdapterSecretWrong");
});

test("a refusal holds no value of the call", async () => {
  const t = deployment();
  const error = await call(t, "getUserByEmail", { email: "private@example.com", secret: "guess-1234" }).catch(
    (error: Error & { data: unknown }) => error.message + JSON.stringify(error.data),
  );
  expect(error).toContain("AdapterSecretWrong");
  expect(error).not.toMatch(/private|guess-1234/);
  expect(error).not.toContain(SECRET);
});
