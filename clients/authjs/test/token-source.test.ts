import { dispatch } from "./lib/dom.js";

import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";

import { TokenSource } from "../src/react/token-source.js";
import { fakeWeb, tokenAnswer } from "./lib/fake-web.js";

const unforced = { forceRefreshToken: false };
const forced = { forceRefreshToken: true };
const gone = { code: "UpstreamUnreachable", message: "no deployment" };

/** Time that stands still until it is moved on. */
function clock(t: TestContext) {
  t.mock.method(console, "error", () => {});
  t.mock.method(Math, "random", () => 0.5);
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2026, 10, 25) });
  t.after(() => mock.timers.reset());
  return {
    /** Moves on in small steps, and lets everything that waits for an answer go on between them. */
    async pass(seconds: number) {
      for (let step = 0; step < seconds * 4; step++) {
        await new Promise((resolve) => setImmediate(resolve));
        mock.timers.tick(250);
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** What a promise has come to, if anything. */
function outcomeOf<T>(promise: Promise<T>): { value?: T } {
  const outcome: { value?: T } = {};
  void promise.then((value) => (outcome.value = value));
  return outcome;
}

test("an outage is tried through while the token that Convex holds lives", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada", 60));
  await source.fetchAccessToken(unforced);

  web.onTokenRequest = (request) => request.answer(502, gone);
  const call = outcomeOf(source.fetchAccessToken(forced));
  await time.pass(25);
  assert.deepEqual(call, {}, "Convex is told nothing yet");
  assert.ok(web.tokenRequests.length > 4 && web.tokenRequests.length < 12, `${web.tokenRequests.length} requests`);
  assert.ok(web.tokenRequests.slice(1).every(({ force }) => force), "each of them asks for a new token");

  const fresh = tokenAnswer("ada");
  web.onTokenRequest = (request) => request.answer(200, fresh);
  await time.pass(20);
  assert.deepEqual(call, { value: fresh.token });
});

test("an outage that outlasts that token is null", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada", 60));
  await source.fetchAccessToken(unforced);
  web.onTokenRequest = (request) => request.fail();
  const call = outcomeOf(source.fetchAccessToken(forced));
  await time.pass(60);
  assert.deepEqual(call, { value: null });
});

test("without any token an outage is null after ten seconds, not at once", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  web.onTokenRequest = (request) => request.answer(503, gone);
  const call = outcomeOf(new TokenSource("http://localhost").fetchAccessToken(unforced));
  await time.pass(6);
  assert.deepEqual(call, {});
  await time.pass(4);
  assert.deepEqual(call, { value: null });
});

test("a clock that is far behind does not make the tries endless", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  web.onTokenRequest = (request) => request.answer(200, { ...tokenAnswer("ada"), expiresAt: Date.now() + 365 * 86_400_000 });
  await source.fetchAccessToken(unforced);
  web.onTokenRequest = (request) => request.fail();
  const call = outcomeOf(source.fetchAccessToken(forced));
  await time.pass(11 * 60);
  assert.deepEqual(call, { value: null });
});

test("a request that is never answered counts as an outage", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const call = outcomeOf(new TokenSource("http://localhost").fetchAccessToken(unforced));
  await time.pass(9);
  assert.deepEqual([call, web.tokenRequests.length], [{}, 1]);
  await time.pass(2);
  assert.deepEqual(call, { value: null });
});

test("the network's return cuts a wait short", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada", 600));
  await source.fetchAccessToken(unforced);
  web.onTokenRequest = (request) => request.fail();
  const call = outcomeOf(source.fetchAccessToken(forced));
  await time.pass(120);
  const fresh = tokenAnswer("ada");
  web.onTokenRequest = (request) => request.answer(200, fresh);
  dispatch("window", "online");
  await time.pass(0);
  assert.deepEqual(call, { value: fresh.token });
});

test("after an outage that was told it recovers by itself, once", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  let recoveries = 0;
  const end = source.watch(() => recoveries++);
  web.onTokenRequest = (request) => request.fail();
  const call = outcomeOf(source.fetchAccessToken(unforced));
  await time.pass(12);
  assert.deepEqual([call, recoveries], [{ value: null }, 0]);
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada"));
  await time.pass(31);
  assert.equal(recoveries, 1);
  await time.pass(61);
  dispatch("window", "online");
  await time.pass(1);
  assert.equal(recoveries, 1);
  end();
});

test("a session that ended is not asked for again and again, only when the page is looked at", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  let recoveries = 0;
  t.after(source.watch(() => recoveries++));
  web.onTokenRequest = (request) => request.answer(401, { code: "NoSession", message: "no live session" });
  assert.equal(await source.fetchAccessToken(unforced), null);
  await time.pass(120);
  assert.equal(web.tokenRequests.length, 1);
  dispatch("document", "visibilitychange");
  await time.pass(0);
  assert.deepEqual([web.tokenRequests.length, recoveries], [2, 0]);
});

test("while all is well nothing is asked behind Convex's back", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  t.after(source.watch(() => assert.fail("nothing was lost")));
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada"));
  await source.fetchAccessToken(unforced);
  dispatch("window", "online");
  dispatch("document", "visibilitychange");
  source.sessionWasRead(() => assert.fail("nothing was lost"));
  await time.pass(120);
  assert.equal(web.tokenRequests.length, 1);
});

test("a source that is closed in a wait ends with null and asks no more", async (t) => {
  const time = clock(t);
  const web = fakeWeb(t);
  const source = new TokenSource("http://localhost");
  web.onTokenRequest = (request) => request.fail();
  const call = outcomeOf(source.fetchAccessToken(unforced));
  await time.pass(1);
  const asked = web.tokenRequests.length;
  source.close();
  await time.pass(0);
  assert.deepEqual(call, { value: null });
  await time.pass(60);
  assert.equal(web.tokenRequests.length, asked);
});
