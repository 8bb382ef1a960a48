import { eventually, render } from "./lib/render.js";

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ConvexProviderWithAuth, useConvexAuth } from "convex/react";
import { createConvexAuthProxyHook, useConvexAuthProxy } from "convex-auth-proxy-adapter/react";
import { __NEXTAUTH, SessionProvider, useSession } from "next-auth/react";
import { act } from "react";
import { renderToString } from "react-dom/server";

import { dispatch } from "./lib/dom.js";
import { fakeWeb, sessionOf, tokenAnswer } from "./lib/fake-web.js";

type Fetcher = (args: { forceRefreshToken: boolean }) => Promise<string | null | undefined>;

/** What `ConvexProviderWithAuth` asks of a client; notes it. */
class FakeClient {
  readonly set: Fetcher[] = [];
  cleared = 0;
  #confirm: ((isAuthenticated: boolean) => void) | undefined;

  setAuth(fetcher: Fetcher, onChange: (isAuthenticated: boolean) => void) {
    this.set.push(fetcher);
    this.#confirm = onChange;
  }

  clearAuth() {
    this.cleared++;
  }

  confirm(isAuthenticated: boolean) {
    return act(async () => this.#confirm!(isAuthenticated));
  }

  get fetcher(): Fetcher {
    return this.set.at(-1)!;
  }
}

let update: (data?: unknown) => Promise<unknown>;

function Shown() {
  const { isLoading, isAuthenticated } = useConvexAuth();
  ({ update } = useSession());
  return isLoading ? "loading" : isAuthenticated ? "signed in" : "signed out";
}

function app(client: FakeClient, session?: unknown, useAuth = useConvexAuthProxy) {
  return (
    <SessionProvider session={session as never}>
      <ConvexProviderWithAuth client={client} useAuth={useAuth}>
        <Shown />
      </ConvexProviderWithAuth>
    </SessionProvider>
  );
}

/** As next-auth does after `signIn` and `signOut` without a redirect, and on a word from another tab. */
const readSessionAgain = () => act(async () => void (await __NEXTAUTH._getSession({ event: "storage" })));
const unforced = { forceRefreshToken: false };
const forced = { forceRefreshToken: true };

beforeEach(() => {
  process.env.NEXT_PUBLIC_CONVEX_URL = "https://app.example.com/convex/";
});

test("before the session was read it is loading, not signed out", async (t) => {
  const web = fakeWeb(t, sessionOf("ada"));
  const release = web.holdSession();
  const client = new FakeClient();
  const page = await render(t, app(client));
  assert.equal(page.text(), "loading");
  assert.equal(client.set.length, 0);
  release();
  await eventually(() => client.set.length === 1, "Convex asks for a token");
  assert.equal(page.text(), "loading");
  await client.confirm(true);
  assert.equal(page.text(), "signed in");
});

test("a session that is null is signed out, and no token is asked for", async (t) => {
  const web = fakeWeb(t);
  const page = await render(t, app(new FakeClient(), null));
  assert.equal(page.text(), "signed out");
  assert.equal(web.tokenRequests.length, 0);
});

test("it renders on a server, without a request", (t) => {
  const web = fakeWeb(t);
  assert.equal(renderToString(app(new FakeClient(), sessionOf("ada"))), "loading");
  assert.equal(renderToString(app(new FakeClient(), null)), "signed out");
  assert.equal(web.tokenRequests.length, 0);
});

test("a token is asked for with the cookie, at the URL of the environment or a given one", async (t) => {
  const web = fakeWeb(t);
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada"));
  for (const useAuth of [useConvexAuthProxy, createConvexAuthProxyHook({ url: "http://localhost:8080" })]) {
    const client = new FakeClient();
    await render(t, app(client, sessionOf("ada"), useAuth));
    assert.match(String(await client.fetcher(unforced)), /^ey/);
    assert.match(String(await client.fetcher(forced)), /^ey/);
  }
  assert.deepEqual(web.tokenRequests.map(({ url, force }) => [url, force]), [
    ["https://app.example.com/convex/auth/token", false],
    ["https://app.example.com/convex/auth/token", true],
    ["http://localhost:8080/auth/token", false],
    ["http://localhost:8080/auth/token", true],
  ]);
  for (const { init } of web.tokenRequests) {
    assert.deepEqual([init.method, init.credentials, init.cache, init.redirect], ["POST", "include", "no-store", "error"]);
  }
});

test("reading the session again signs nobody out and asks for no new token", async (t) => {
  const web = fakeWeb(t, sessionOf("ada"));
  const client = new FakeClient();
  const page = await render(t, app(client, sessionOf("ada")));
  await client.confirm(true);
  const shown = new Set<string>();
  const release = web.holdSession();
  web.session = { ...sessionOf("ada", { expires: new Date(Date.now() + 9e9).toISOString() }), user: { name: "Ada L.", email: "ada@example.com", image: "new" } };
  const reading = act(async () => void update());
  shown.add(page.text());
  release();
  await reading;
  await eventually(() => web.sessionReads === 1, "the session is read");
  shown.add(page.text());
  assert.deepEqual([[...shown], client.set.length, client.cleared], [["signed in"], 1, 0]);
});

/** As `auth()` gives it on the server, all of it. */
const wholeSession = (name: string) => ({
  ...sessionOf(name, { id: "s1", sessionToken: "t1", userId: "u1" }),
  user: { id: "u1", name, email: `${name}@example.com`, emailVerified: null },
});

test("the server's whole session and the browser's part of it are one", async (t) => {
  const web = fakeWeb(t);
  const client = new FakeClient();
  await render(t, app(client, wholeSession("ada")));
  for (const session of [sessionOf("ada"), wholeSession("ada"), { ...sessionOf("ada"), user: { id: "u1" } }]) {
    web.session = session;
    await readSessionAgain();
  }
  assert.deepEqual([web.sessionReads, client.set.length], [3, 1]);
  web.session = sessionOf("bob");
  await readSessionAgain();
  assert.equal(client.set.length, 2);
});

test("outside of a SessionProvider it says what is missing", () => {
  const withoutSession = (
    <ConvexProviderWithAuth client={new FakeClient()} useAuth={useConvexAuthProxy}>
      text
    </ConvexProviderWithAuth>
  );
  assert.throws(() => renderToString(withoutSession), /SessionProvider/);
});

for (const [what, one, other] of [
  ["another address", sessionOf("ada"), sessionOf("bob")],
  ["another id", sessionOf("ada", { user: { id: "1", email: "x" } }), sessionOf("ada", { user: { id: "2", email: "x" } })],
  ["another id under one address", { ...wholeSession("ada"), sessionToken: "x" }, { user: { id: "u2", email: "ada@example.com" } }],
  ["another name where there is nothing else", { user: { name: "Ada" } }, { user: { name: "Bob" } }],
  ["another session of the same user", sessionOf("ada", { sessionToken: "1" }), sessionOf("ada", { sessionToken: "2" })],
] as const) {
  test(`Convex asks anew for ${what}`, async (t) => {
    const web = fakeWeb(t, other);
    const client = new FakeClient();
    await render(t, app(client, one));
    await readSessionAgain();
    await eventually(() => client.set.length === 2, "Convex asks anew");
    assert.notEqual(client.set[0], client.set[1]);
    assert.equal(web.sessionReads, 1);
  });
}

test("after a sign-out and a sign-in of the same user Convex asks anew", async (t) => {
  const web = fakeWeb(t, null);
  const client = new FakeClient();
  const page = await render(t, app(client, sessionOf("ada")));
  await client.confirm(true);
  await readSessionAgain();
  await eventually(() => page.text() === "signed out", "signed out");
  assert.equal(client.cleared, 1);
  web.session = sessionOf("ada");
  await readSessionAgain();
  await eventually(() => client.set.length === 2, "Convex asks anew");
  assert.notEqual(client.set[0], client.set[1]);
});

test("a token of the user before never arrives after the change", async (t) => {
  const web = fakeWeb(t, sessionOf("bob"));
  const client = new FakeClient();
  await render(t, app(client, sessionOf("ada")));
  const late = [client.fetcher(unforced), client.fetcher(forced)];
  assert.equal(web.tokenRequests.length, 2);
  await readSessionAgain();
  await eventually(() => client.set.length === 2, "Convex asks anew");
  for (const request of web.tokenRequests) request.answer(200, tokenAnswer("ada"));
  assert.deepEqual(await Promise.all(late), [null, null]);
  assert.equal(await client.set[0]!(forced), null, "nor does the old function give one later on");
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("bob"));
  assert.equal(subjectOf(await client.fetcher(unforced)), "bob");
});

test("calls at the same time share a request, but a forced one never takes the answer of one that was not", async (t) => {
  const web = fakeWeb(t);
  const client = new FakeClient();
  await render(t, app(client, sessionOf("ada")));
  const calls = [unforced, unforced, forced, forced, unforced].map((args) => client.fetcher(args));
  assert.deepEqual(web.tokenRequests.map(({ force }) => force), [false, true]);
  for (const request of web.tokenRequests) request.answer(200, tokenAnswer(request.force ? "forced" : "unforced"));
  assert.deepEqual((await Promise.all(calls)).map(subjectOf), ["unforced", "unforced", "forced", "forced", "forced"]);
});

test("an ended session is told at once", async (t) => {
  const web = fakeWeb(t);
  web.onTokenRequest = (request) => request.answer(401, { code: "NoSession", message: "no live session" });
  const client = new FakeClient();
  await render(t, app(client, sessionOf("ada")));
  assert.equal(await client.fetcher(unforced), null);
  assert.equal(web.tokenRequests.length, 1);
});

test("a session that is live again makes Convex ask anew, once Auth.js has read it", async (t) => {
  const web = fakeWeb(t, sessionOf("ada"));
  web.onTokenRequest = (request) => request.answer(401, { code: "NoSession", message: "no live session" });
  const client = new FakeClient();
  await render(t, app(client, sessionOf("ada")));
  await client.fetcher(unforced);
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada"));
  await readSessionAgain();
  await eventually(() => client.set.length === 2, "Convex asks anew");
  assert.equal(subjectOf(await client.fetcher(unforced)), "ada");
});

test("a refusal that will not heal is told, tried once, and recovers when the page is looked at", async (t) => {
  const web = fakeWeb(t, sessionOf("ada"));
  const told = t.mock.method(console, "error", () => {});
  web.onTokenRequest = (request) => request.answer(403, { code: "OriginNotListed", message: "not listed" });
  const client = new FakeClient();
  await render(t, app(client, sessionOf("ada")));
  assert.equal(await client.fetcher(unforced), null);
  assert.equal(web.tokenRequests.length, 1);
  assert.match(String(told.mock.calls[0]!.arguments[0]), /403, OriginNotListed/);
  await act(async () => dispatch("document", "visibilitychange"));
  await eventually(() => web.tokenRequests.length >= 2, "it is asked again");
  assert.equal(client.set.length, 1);
  web.onTokenRequest = (request) => request.answer(200, tokenAnswer("ada"));
  await act(async () => dispatch("window", "online"));
  await eventually(() => client.set.length === 2, "Convex asks anew");
});

test("in StrictMode the effects that React undoes and redoes leave one request and a working function", async (t) => {
  // next-auth reads its session again when its effects are redone.
  const web = fakeWeb(t, sessionOf("ada"));
  const client = new FakeClient();
  const answers: Promise<string | null | undefined>[] = [];
  const setAuth = client.setAuth.bind(client);
  client.setAuth = (fetcher, onChange) => {
    setAuth(fetcher, onChange);
    answers.push(fetcher(unforced));
  };
  const page = await render(t, app(client, sessionOf("ada")), { strict: true });
  assert.equal(answers.length, 2, "Convex asked twice");
  assert.equal(web.tokenRequests.length, 1);
  web.tokenRequests[0]!.answer(200, tokenAnswer("ada"));
  const tokens = await Promise.all(answers);
  assert.deepEqual(tokens.map(subjectOf), ["ada", "ada"]);
  await client.confirm(true);
  assert.equal(page.text(), "signed in");
});

test("a page that goes away ends its request", async (t) => {
  const web = fakeWeb(t);
  const client = new FakeClient();
  const page = await render(t, app(client, sessionOf("ada")));
  const call = client.fetcher(unforced);
  await page.unmount();
  assert.equal(await call, null);
  assert.equal(web.tokenRequests[0]!.init.signal!.aborted, true);
  await client.fetcher(forced);
  assert.equal(web.tokenRequests.length, 1);
});

function subjectOf(token: string | null | undefined): string | undefined {
  return token ? JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()).sub : undefined;
}

