import { beforeEach, expect, test } from "vitest";
import type { Id } from "../convex/_generated/dataModel";
import {
  type Adapter,
  adapter,
  type Deployment,
  deployment,
  expectRefusal,
  HOUR,
  insert,
  race,
  remove,
  rows,
} from "./deployment";

const expires = Date.now() + HOUR;
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

const sessionOf = (userId: string, sessionToken = "s") => ({ sessionToken, userId, expires });

test("a created session is read with its user", async () => {
  const id = await functions.createSession({ session: sessionOf(ada) });
  expect(await functions.getSessionAndUser({ sessionToken: "s" })).toMatchObject({
    session: { _id: id, sessionToken: "s", userId: ada, expires },
    user: { _id: ada, email: "ada@example.com" },
  });
});

test("a session that is not there is null", async () => {
  await functions.createSession({ session: sessionOf(ada) });
  expect(await functions.getSessionAndUser({ sessionToken: "S" })).toBeNull();
  expect(await functions.deleteSession({ sessionToken: "S" })).toBeNull();
  expect(await functions.updateSession({ session: { sessionToken: "S", expires } })).toBeNull();
});

test("a session whose user is gone is null", async () => {
  await functions.createSession({ session: sessionOf(ada) });
  await remove(t, ada);
  expect(await functions.getSessionAndUser({ sessionToken: "s" })).toBeNull();
});

test("an expired session is still read, since Auth.js decides and deletes", async () => {
  await functions.createSession({ session: { ...sessionOf(ada), expires: 1 } });
  expect((await functions.getSessionAndUser({ sessionToken: "s" }))?.session.expires).toBe(1);
});

test("the same session again gets the id that it has", async () => {
  const id = await functions.createSession({ session: sessionOf(ada) });
  expect(await functions.createSession({ session: sessionOf(ada) })).toBe(id);
  expect(await rows(t, "sessions")).toHaveLength(1);
});

test("a token belongs to one session", async () => {
  await functions.createSession({ session: sessionOf(ada) });
  await expectRefusal(functions.createSession({ session: sessionOf(bob) }), "SessionTokenTaken");
  await expectRefusal(
    functions.createSession({ session: { ...sessionOf(ada), expires: expires + 1 } }),
    "SessionTokenTaken",
  );
  expect(await rows(t, "sessions")).toMatchObject([{ userId: ada, expires }]);
});

test("of two users that race for one token, one is refused", async () => {
  expect(
    await race(
      functions.createSession({ session: sessionOf(ada) }),
      functions.createSession({ session: sessionOf(bob) }),
    ),
  ).toEqual({ succeeded: 1, codes: ["SessionTokenTaken"] });
  expect(await rows(t, "sessions")).toHaveLength(1);
});

test("no session is made for nobody", async () => {
  await remove(t, bob);
  await expectRefusal(functions.createSession({ session: sessionOf(bob) }), "UserNotFound");
  await expectRefusal(functions.createSession({ session: sessionOf("not an id") }), "UserNotFound");
  expect(await rows(t, "sessions")).toEqual([]);
});

test("updateSession changes expires and returns the stored row", async () => {
  const _id = await functions.createSession({ session: sessionOf(ada) });
  const updated = await functions.updateSession({ session: { sessionToken: "s", expires: expires + HOUR } });
  expect(updated).toMatchObject({ _id, userId: ada, expires: expires + HOUR });
  expect(await rows(t, "sessions")).toEqual([updated]);
});

test("updateSession takes a whole session, and one without expires", async () => {
  await functions.createSession({ session: sessionOf(ada) });
  expect(await functions.updateSession({ session: { ...sessionOf(ada), expires: 7 } })).toMatchObject({ expires: 7 });
  expect(await functions.updateSession({ session: { sessionToken: "s" } })).toMatchObject({ expires: 7 });
  expect(await functions.updateSession({ session: { sessionToken: "s", expires: null, userId: null } })).toMatchObject({
    expires: 7,
    userId: ada,
  });
});

test("updateSession does not give a session to another user", async () => {
  await functions.createSession({ session: sessionOf(ada) });
  for (const userId of [bob, "not an id"]) {
    await expectRefusal(
      functions.updateSession({ session: { sessionToken: "s", userId, expires: 7 } }),
      "SessionOwnerMismatch",
    );
  }
  expect(await rows(t, "sessions")).toMatchObject([{ userId: ada, expires }]);
});

test("deleteSession returns the session once", async () => {
  const _id = await functions.createSession({ session: sessionOf(ada) });
  await functions.createSession({ session: sessionOf(ada, "other") });
  expect(await functions.deleteSession({ sessionToken: "s" })).toMatchObject({ _id, sessionToken: "s" });
  expect(await functions.deleteSession({ sessionToken: "s" })).toBeNull();
  expect(await rows(t, "sessions")).toMatchObject([{ sessionToken: "other" }]);
});

test("of sessions that had one token before it was unique, the oldest is read and all are deleted", async () => {
  const oldest = await insert(t, "sessions", sessionOf(ada) as never);
  await insert(t, "sessions", sessionOf(ada) as never);
  expect((await functions.getSessionAndUser({ sessionToken: "s" }))?.session._id).toBe(oldest);
  expect(await functions.createSession({ session: sessionOf(ada) })).toBe(oldest);
  await functions.updateSession({ session: { sessionToken: "s", expires: 7 } });
  expect((await functions.getSessionAndUser({ sessionToken: "s" }))?.session.expires).toBe(7);
  expect((await functions.deleteSession({ sessionToken: "s" }))?._id).toBe(oldest);
  expect(await functions.getSessionAndUser({ sessionToken: "s" })).toBeNull();
});
