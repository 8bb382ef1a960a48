import { expect, test } from "vitest";
import { api } from "../convex/_generated/api";
import { adapter, type Deployment, deployment, expectRefusal, rows } from "./deployment";

const send = (t: Pick<Deployment, "mutation">, body: string) => t.mutation(api.demo.send, { body });

test("messages are listed, the newest last, with nothing but what the pages know", async () => {
  const t = deployment();
  const id = await send(t, "first");
  await send(t, "second");
  const listed = await t.query(api.demo.list);
  expect(listed.map((message) => message.body)).toEqual(["first", "second"]);
  expect(listed[0]).toEqual({ _id: id, _creationTime: expect.any(Number), author: "anonymous", body: "first" });
});

test("who is signed in signs, by a name where there is one, and never by the address of a user", async () => {
  const t = deployment();
  const { createUser } = adapter(t);
  const named = await createUser({ user: { name: "Ada", email: "ada@example.com" } });
  const nameless = await createUser({ user: { email: "bob@example.com" } });
  const bare = await createUser({ user: {} });
  await send(t.withIdentity({ subject: named, name: "Ada of the token" }), "x");
  await send(t.withIdentity({ subject: named, email: "ada@example.com" }), "x");
  await send(t.withIdentity({ subject: nameless, email: "bob@example.com" }), "x");
  await send(t.withIdentity({ subject: bare }), "x");
  await send(t.withIdentity({ subject: "of another issuer", email: "eve@example.com" }), "x");
  await send(t, "x");
  const authors = (await t.query(api.demo.list)).map((message) => message.author);
  expect(authors).toEqual(["Ada of the token", "Ada", "bob", bare, "eve@example.com", "anonymous"]);
});

test("a message has 1 to 1000 characters, however they are stored", async () => {
  const t = deployment();
  await expectRefusal(send(t, ""), "MessageLength");
  await expectRefusal(send(t, "x".repeat(1001)), "MessageLength");
  await send(t, "x".repeat(1000));
  await send(t, "\u{1F40B}".repeat(1000));
  expect(await rows(t, "messages")).toHaveLength(2);
});

test("a thousand messages are kept and a hundred are listed", async () => {
  const t = deployment();
  await t.run(async (ctx) => {
    for (let number = 1; number <= 1000; number++) {
      await ctx.db.insert("messages", { author: "a", body: `${number}`, number });
    }
  });
  await send(t, "1001");
  const kept = await rows(t, "messages");
  expect(kept).toHaveLength(1000);
  expect([kept[0].body, kept[999].body]).toEqual(["2", "1001"]);
  const listed = await t.query(api.demo.list);
  expect(listed).toHaveLength(100);
  expect([listed[0].body, listed[99].body]).toEqual(["902", "1001"]);
});

test("whoami is the identity, or null", async () => {
  const t = deployment();
  expect(await t.query(api.demo.whoami)).toBeNull();
  const identity = { subject: "id", issuer: "https://issuer.example", email: "ada@example.com" };
  expect(await t.withIdentity(identity).query(api.demo.whoami)).toMatchObject(identity);
});

test("accounts are those of who asks, oldest first, without their tokens", async () => {
  const t = deployment();
  const { createUser, linkAccount } = adapter(t);
  const ada = await createUser({ user: { email: "ada@example.com" } });
  const bob = await createUser({ user: { email: "bob@example.com" } });
  const link = (userId: string, provider: string, type: "oidc" | "oauth") =>
    linkAccount({
      account: { userId, provider, type, providerAccountId: `${provider} of ${userId}`, access_token: "t" },
    });
  await link(ada, "zulu", "oidc");
  await link(ada, "alpha", "oauth");
  await link(bob, "zulu", "oidc");
  expect(await t.withIdentity({ subject: ada }).query(api.demo.accounts)).toEqual([
    { provider: "zulu", type: "oidc" },
    { provider: "alpha", type: "oauth" },
  ]);
  expect(await t.query(api.demo.accounts)).toEqual([]);
  expect(await t.withIdentity({ subject: "of another issuer" }).query(api.demo.accounts)).toEqual([]);
});
