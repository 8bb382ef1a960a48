import { expect, test } from "vitest";
import { adapter, deployment, expectRefusal, insert, race, remove, rows } from "./deployment";

const ada = { name: "Ada", email: "ada@example.com", image: "https://example.com/ada.png", emailVerified: 1e12 };

test("a created user is found by id and by address", async () => {
  const t = deployment();
  const { createUser, getUser, getUserByEmail } = adapter(t);
  const id = await createUser({ user: ada });
  expect(await getUser({ id })).toMatchObject({ _id: id, ...ada });
  expect(await getUserByEmail({ email: ada.email })).toMatchObject({ _id: id, ...ada });
});

test("what is not there is null", async () => {
  const { getUser, getUserByEmail, createUser } = adapter(deployment());
  await createUser({ user: { name: "no address" } });
  expect(await getUserByEmail({ email: ada.email })).toBeNull();
  for (const id of ["", "5f0f9ac0-2b0f-4b8e-9d2e-000000000000", "42"]) {
    expect(await getUser({ id })).toBeNull();
  }
});

test("an id of another table is nobody", async () => {
  const t = deployment();
  const { createUser, createSession, getUser, updateUser, deleteUser } = adapter(t);
  const userId = await createUser({ user: ada });
  const id = await createSession({ session: { sessionToken: "s", userId, expires: 1 } });
  expect(await getUser({ id })).toBeNull();
  expect(await updateUser({ user: { id, name: "x" } })).toBeNull();
  expect(await deleteUser({ id })).toBeNull();
  expect(await rows(t, "sessions")).toHaveLength(1);
});

test("an address belongs to one user", async () => {
  const t = deployment();
  const { createUser } = adapter(t);
  await createUser({ user: ada });
  await expectRefusal(createUser({ user: { email: ada.email } }), "EmailTaken");
  expect(await rows(t, "users")).toHaveLength(1);
});

test("of two users that are created at the same time with one address, one is refused", async () => {
  const t = deployment();
  const { createUser } = adapter(t);
  expect(await race(createUser({ user: ada }), createUser({ user: ada }))).toEqual({
    succeeded: 1,
    codes: ["EmailTaken"],
  });
  expect(await rows(t, "users")).toHaveLength(1);
});

test("addresses are compared exactly", async () => {
  const t = deployment();
  const { createUser, getUserByEmail } = adapter(t);
  await createUser({ user: ada });
  const other = await createUser({ user: { email: "Ada@example.com" } });
  expect((await getUserByEmail({ email: "Ada@example.com" }))?._id).toBe(other);
});

test("any number of users have no address", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  const id = await createUser({ user: { name: "A", email: "a@example.com" } });
  for (const email of [undefined, undefined, null, null]) {
    await createUser({ user: { email } });
  }
  expect(await updateUser({ user: { id, email: null } })).not.toHaveProperty("email");
  expect(await rows(t, "users")).toHaveLength(5);
});

test("a null of a new user is left out", async () => {
  const t = deployment();
  await adapter(t).createUser({ user: { email: "b@example.com", name: null, emailVerified: null, image: null } });
  const [user] = await rows(t, "users");
  expect(Object.keys(user).sort()).toEqual(["_creationTime", "_id", "email"]);
});

test("a field that the schema does not have is refused, so that it is not lost unseen", async () => {
  const { createUser } = adapter(deployment());
  await expect(createUser({ user: { email: "b@example.com", role: "admin" } as never })).rejects.toThrow("role");
});

test("updateUser changes what is named, keeps the rest, and returns the stored row", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  const id = await createUser({ user: ada });
  const updated = await updateUser({ user: { id, emailVerified: 5 } });
  expect(updated).toMatchObject({ _id: id, ...ada, emailVerified: 5 });
  expect(await rows(t, "users")).toEqual([updated]);
});

test("updateUser clears a field that is null", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  const id = await createUser({ user: ada });
  const updated = await updateUser({ user: { id, image: null, emailVerified: null } });
  expect(updated).not.toHaveProperty("image");
  expect(updated).not.toHaveProperty("emailVerified");
  expect(updated).toMatchObject({ name: ada.name, email: ada.email });
  expect(await rows(t, "users")).toEqual([updated]);
});

test("updateUser of somebody who is not there is null", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  const id = await createUser({ user: ada });
  await remove(t, id);
  expect(await updateUser({ user: { id, name: "Ghost" } })).toBeNull();
  expect(await updateUser({ user: { id: "not an id", name: "Ghost" } })).toBeNull();
  expect(await rows(t, "users")).toEqual([]);
});

test("updateUser cannot take the address of another user", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  await createUser({ user: ada });
  const id = await createUser({ user: { email: "b@example.com" } });
  await expectRefusal(updateUser({ user: { id, email: ada.email } }), "EmailTaken");
  expect(await updateUser({ user: { id, email: "c@example.com" } })).toMatchObject({ email: "c@example.com" });
  expect(await updateUser({ user: { id, email: "c@example.com", name: "C" } })).toMatchObject({ name: "C" });
});

test("an address that can be had again is given again", async () => {
  const t = deployment();
  const { createUser, updateUser } = adapter(t);
  const id = await createUser({ user: ada });
  await updateUser({ user: { id, email: null } });
  expect(await createUser({ user: ada })).not.toBe(id);
});

test("of users that had one address before it was unique, the oldest is found", async () => {
  const t = deployment();
  const { createUser, getUserByEmail, updateUser } = adapter(t);
  const oldest = await insert(t, "users", { email: ada.email });
  const second = await insert(t, "users", { email: ada.email });
  expect((await getUserByEmail({ email: ada.email }))?._id).toBe(oldest);
  await expectRefusal(createUser({ user: ada }), "EmailTaken");
  expect(await updateUser({ user: { id: second, email: ada.email, name: "Second" } })).toMatchObject({
    name: "Second",
  });
});
