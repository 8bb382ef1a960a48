import { beforeEach, expect, test } from "vitest";
import { type Adapter, adapter, type Deployment, deployment, insert, rows } from "./deployment";

const link = { identifier: "ada@example.com", token: "hash", expires: 5 };
const use = { identifier: link.identifier, token: link.token };
let t: Deployment;
let functions: Adapter;

beforeEach(() => {
  t = deployment();
  functions = adapter(t);
});

test("a token is used once", async () => {
  await functions.createVerificationToken({ verificationToken: link });
  expect(await functions.useVerificationToken(use)).toMatchObject(link);
  expect(await functions.useVerificationToken(use)).toBeNull();
});

test("of three uses at the same time one wins", async () => {
  await functions.createVerificationToken({ verificationToken: link });
  const used = await Promise.all([1, 2, 3].map(() => functions.useVerificationToken(use)));
  expect(used.filter((row) => row !== null)).toHaveLength(1);
});

test("a token of another address is not used", async () => {
  await functions.createVerificationToken({ verificationToken: link });
  expect(await functions.useVerificationToken({ ...use, identifier: "bob@example.com" })).toBeNull();
  expect(await functions.useVerificationToken({ ...use, token: "other" })).toBeNull();
  expect(await functions.useVerificationToken({ ...use, identifier: "" })).toBeNull();
  expect(await rows(t, "verificationTokens")).toHaveLength(1);
});

test.each([null, undefined])("a link without an address (%s) is used by its token alone", async (identifier) => {
  await functions.createVerificationToken({ verificationToken: link });
  await functions.createVerificationToken({ verificationToken: { ...link, token: "other" } });
  expect(await functions.useVerificationToken({ identifier, token: link.token })).toMatchObject(link);
  expect(await functions.useVerificationToken({ identifier, token: link.token })).toBeNull();
  expect(await rows(t, "verificationTokens")).toMatchObject([{ token: "other" }]);
});

test("a token that two addresses have proves neither of them without one", async () => {
  const other = { ...link, identifier: "bob@example.com" };
  await functions.createVerificationToken({ verificationToken: link });
  await functions.createVerificationToken({ verificationToken: other });
  expect(await functions.useVerificationToken({ token: link.token })).toBeNull();
  expect(await functions.useVerificationToken(use)).toMatchObject(link);
  expect(await functions.useVerificationToken({ token: link.token })).toMatchObject(other);
});

test("the same token for the same address again is one row, with the newer time", async () => {
  const id = await functions.createVerificationToken({ verificationToken: link });
  expect(await functions.createVerificationToken({ verificationToken: { ...link, expires: 6 } })).toBe(id);
  expect(await rows(t, "verificationTokens")).toMatchObject([{ ...link, expires: 6 }]);
});

test("two creations at the same time make one row", async () => {
  await Promise.all([1, 2].map(() => functions.createVerificationToken({ verificationToken: link })));
  expect(await rows(t, "verificationTokens")).toHaveLength(1);
});

test.each([link.identifier, null])("a token that was stored twice is used once (address %s)", async (identifier) => {
  await insert(t, "verificationTokens", link);
  await insert(t, "verificationTokens", link);
  expect(await functions.useVerificationToken({ ...use, identifier })).toMatchObject(link);
  expect(await functions.useVerificationToken({ ...use, identifier })).toBeNull();
});
