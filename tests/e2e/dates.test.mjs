// Dates through the proxy against `Date.parse` of the engine that runs Auth.js.

import assert from "node:assert/strict";
import { randomInt, randomUUID } from "node:crypto";
import { after, test } from "node:test";

import { assertRefused, send } from "./lib/http.mjs";
import { startDev } from "./lib/proxy.mjs";
import { freshEmail } from "./lib/seed.mjs";

const proxy = await startDev();
after(() => proxy.stop());

const VERIFICATION_TOKENS = 2_000;
const SESSIONS = 1_000;
const AT_A_TIME = 32;
const BATCH = 100;
const MAX_MS = 8.64e15;

/** The seed of the generator; set E2E_SEED to the one of a failure to see it again. */
const SEED = Number(process.env.E2E_SEED ?? randomInt(2 ** 31));
const random = mulberry32(SEED);

test(`verificationToken.expires comes back as the number that Date.parse gives (seed ${SEED})`, async () => {
  const texts = [...edges(), ...Array.from({ length: VERIFICATION_TOKENS }, anyDate)];
  await inParallel(texts, async (text) => {
    const key = { identifier: "x", token: randomUUID() };
    await mutation("createVerificationToken", { verificationToken: { ...key, expires: text } }, text);
    const used = await mutation("useVerificationToken", key, text);
    assert.strictEqual(used.expires, Date.parse(text), text);
  });
});

test(`session.expires comes back as the number that Date.parse gives (seed ${SEED})`, async () => {
  const userId = await mutation("createUser", { user: { email: freshEmail() } });
  const sessions = [...edges(), ...Array.from({ length: SESSIONS }, anyDate)].map((text) => ({ text, sessionToken: randomUUID() }));
  await inParallel(sessions, ({ text, sessionToken }) =>
    mutation("createSession", { session: { userId, sessionToken, expires: text } }, text),
  );
  for (let start = 0; start < sessions.length; start += BATCH) {
    const some = sessions.slice(start, start + BATCH);
    const queries = some.map(({ sessionToken }) => ({ path: "authAdapter:getSessionAndUser", args: { sessionToken } }));
    const { json } = await send(`${proxy.adapterUrl}/api/query_batch`, { body: { queries } });
    some.forEach(({ text }, index) => assert.strictEqual(json.results[index].value.session.expires, Date.parse(text), text));
  }
});

test("user.emailVerified too, when a user is made and when one is changed", async () => {
  const id = await mutation("createUser", { user: { email: freshEmail(), emailVerified: "1969-12-31T23:59:59.9999Z" } });
  const verified = async () => (await query("getUser", { id })).emailVerified;
  assert.strictEqual(await verified(), -1);
  for (const text of [...edges(), ...Array.from({ length: 50 }, anyDate)]) {
    await mutation("updateUser", { user: { id, emailVerified: text } }, text);
    assert.strictEqual(await verified(), Date.parse(text), text);
  }
});

test("a date that the Auth.js wire takes comes back as Date.prototype.toISOString writes it", async () => {
  const { json: user } = await send(`${proxy.adapterUrl}/adapter/createUser`, { body: { user: { email: freshEmail(), emailVerified: null } } });
  await inParallel([...edges(), ...Array.from({ length: 200 }, anyDate)], async (text) => {
    const sessionToken = randomUUID();
    const made = await send(`${proxy.adapterUrl}/adapter/createSession`, { body: { session: { sessionToken, userId: user.id, expires: text } } });
    assert.equal(made.status, 200, `${text}: ${made.text}`);
    const { json } = await send(`${proxy.adapterUrl}/adapter/getSessionAndUser`, { body: { sessionToken } });
    assert.equal(json.session.expires, new Date(text).toISOString(), text);
  });
});

test("a time without an offset is refused, since it would be local time", async () => {
  for (const text of ["2026-01-01T00:00", "2026-01-01T00:00:00", "2026-01-01T00:00:00.123", "+002026-01-01T00:00:00"]) {
    assert.ok(!Number.isNaN(Date.parse(text)));
    await assertNoDate(text);
  }
});

test("what is no date is refused by its field, and not repeated", async () => {
  const canary = "canary6f1e";
  for (const text of [
    canary, `2026-01-01T00:00:00Z${canary}`, `${canary}2026-01-01`, "", " ", "now", "2026", "1767225600000", "01/02/2026",
    "2026-13-01", "2026-02-30", "2025-02-29T00:00:00Z", "2026-01-01T25:00Z", "2026-01-01T24:01Z", "2026-01-01T00:60Z",
    "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0200", "2026-01-01T00:00:00.Z",
    "-000000-01-01T00:00:00Z", "+275760-09-13T00:00:00.001Z", "-271821-04-19T23:59:59.999Z", "+999999-01-01T00:00:00Z",
    "20260101", "2026-W01-1", "Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00 Z", "２０２６-01-01",
  ].filter((text) => text !== "2026")) {
    await assertNoDate(text);
  }
});

test("other fields of the same names are left alone, and numbers and nulls are no dates", async () => {
  const { json } = await send(`${proxy.adapterUrl}/api/mutation`, { body: { path: "demo:send", args: { body: "2026-01-01T00:00:00Z" } } });
  assert.equal(json.status, "success");
  const id = await mutation("createUser", { user: { email: "2026-01-01T00:00:00Z", name: "2026-01-01", emailVerified: null } });
  const user = await query("getUser", { id });
  assert.equal(user.email, "2026-01-01T00:00:00Z");
  assert.equal(user.name, "2026-01-01");
  assert.equal(user.emailVerified, undefined);
  const key = { identifier: "2026-01-01", token: randomUUID() };
  await mutation("createVerificationToken", { verificationToken: { ...key, expires: 1.5 } });
  assert.deepEqual((await mutation("useVerificationToken", key)).expires, 1.5);
});

async function assertNoDate(text) {
  const wrong = [
    ["createSession", "session.expires", { session: { sessionToken: "x", userId: "y", expires: text } }],
    ["updateSession", "session.expires", { session: { sessionToken: "x", expires: text } }],
    ["createVerificationToken", "verificationToken.expires", { verificationToken: { identifier: "x", token: "y", expires: text } }],
    ["createUser", "user.emailVerified", { user: { email: "x", emailVerified: text } }],
    ["updateUser", "user.emailVerified", { user: { id: "x", emailVerified: text } }],
  ];
  for (const [name, field, args] of wrong) {
    const answered = await send(`${proxy.adapterUrl}/api/mutation`, { body: { path: `authAdapter:${name}`, args: [args] } });
    assertRefused(answered, 400, "AdapterArgumentInvalid");
    assert.ok(answered.json.message.includes(`\`${field}\``), answered.json.message);
    if (text.length > 4) assert.ok(!answered.text.includes(text) && !answered.text.includes("canary"), answered.text);
  }
}

async function run(lane, name, args, text) {
  const answered = await send(`${proxy.adapterUrl}/api/${lane}`, { body: { path: `authAdapter:${name}`, args: [args], format: "json" } });
  assert.equal(answered.json?.status, "success", `${text}: ${answered.text}`);
  return answered.json.value;
}

function mutation(name, args, text) {
  return run("mutation", name, args, text);
}

function query(name, args, text) {
  return run("query", name, args, text);
}

/** The bounds, and what lies at the edges of forms. */
function edges() {
  const texts = [
    "1970-01-01T00:00:00.000Z", "1970-01-01", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.9999Z", "0000-01-01", "0001", "9999-12-31T23:59:59.999Z",
    "+275760-09-13T00:00:00.000Z", "-271821-04-20T00:00:00.000Z", "+275760-09-13T00:00Z", "+275760-09-13", "-271821-04-20",
    "+275760-09-13T02:00+02:00", "-271821-04-19T22:00-02:00", "+000000-01-01", "+010000-01-01T00:00:00Z", "-000001-12-31T23:59:59.999Z",
    "2024-02-29T12:00Z", "2000-02-29", "1900-02-28T24:00:00Z", "2026-12-31T24:00:00.000Z", "2026-06-30T23:59:59+00:00", "2026-06-30T23:59:59-00:00",
    "2026-01-01T00:00+23:59", "2026-01-01T00:00-23:59", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12Z", "2026-01-01T00:00:00.1239Z", "2026", "2026-07",
  ];
  for (const text of texts) assert.ok(!Number.isNaN(Date.parse(text)), `${text} is a date`);
  return texts;
}

/** A text of the form that ECMA-262 gives, of any year that `Date` can hold. */
function anyDate() {
  for (;;) {
    const text = pick([usual, usual, expanded])();
    const millis = Date.parse(text);
    if (!Number.isNaN(millis) && Math.abs(millis) <= MAX_MS) return text;
  }
}

function usual() {
  return `${digits(between(0, 9_999), 4)}${restOfDate()}`;
}

function expanded() {
  const year = between(-271_821, 275_760);
  const sign = year < 0 ? "-" : "+";
  return year === 0 ? usual() : `${sign}${digits(Math.abs(year), 6)}${restOfDate()}`;
}

function restOfDate() {
  // Up to the 28th, which every month has: V8 rolls other days over, and the proxy refuses those.
  const month = `-${digits(between(1, 12), 2)}`;
  const day = `${month}-${digits(between(1, 28), 2)}`;
  return pick([() => "", () => month, () => day, time, time, time, time, time, time])();

  function time() {
    const hour = between(0, 24);
    const minute = digits(hour === 24 ? 0 : between(0, 59), 2);
    const second = digits(hour === 24 ? 0 : between(0, 59), 2);
    const clock = pick([`${digits(hour, 2)}:${minute}`, `${digits(hour, 2)}:${minute}:${second}`, `${digits(hour, 2)}:${minute}:${second}.${fraction(hour)}`]);
    return `${day}T${clock}${offset()}`;
  }
}

/** One to nine digits, or more that do not begin with zero: beyond that engines disagree. */
function fraction(hour) {
  if (hour === 24) return "0".repeat(between(1, 9));
  const isLong = random() < 0.1;
  const text = Array.from({ length: isLong ? between(10, 20) : between(1, 9) }, () => between(0, 9)).join("");
  return isLong ? text.replace(/^0/, "1") : text;
}

function offset() {
  return random() < 0.4 ? "Z" : `${pick(["+", "-"])}${digits(between(0, 23), 2)}:${digits(between(0, 59), 2)}`;
}

function digits(number, width) {
  return `${number}`.padStart(width, "0");
}

function between(least, most) {
  return least + Math.floor(random() * (most - least + 1));
}

function pick(choices) {
  return choices[between(0, choices.length - 1)];
}

async function inParallel(items, work) {
  const left = items[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
