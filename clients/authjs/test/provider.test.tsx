import { eventually, render } from "./lib/render.js";

import assert from "node:assert/strict";
import { beforeEach, test, type TestContext } from "node:test";

import { useConvex, useQuery, type ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { ConvexAuthProxyProvider } from "convex-auth-proxy-adapter/react";
import { __NEXTAUTH, SessionProvider } from "next-auth/react";
import { act, Activity } from "react";
import { renderToString } from "react-dom/server";

import { FakeDeployment } from "./lib/fake-deployment.js";
import { fakeWeb, sessionOf, type FakeWeb } from "./lib/fake-web.js";

const list = makeFunctionReference<"query", Record<string, never>, string>("demo:list");
const send = makeFunctionReference<"mutation", Record<string, never>, null>("demo:send");

let client: ConvexReactClient;

function Messages() {
  client = useConvex();
  return useQuery(list, {}) ?? "loading";
}

function app(deployment: FakeDeployment, session?: unknown, children = <Messages />) {
  return (
    <SessionProvider session={session as never}>
      <ConvexAuthProxyProvider options={{ webSocketConstructor: deployment.WebSocket, logger: false }}>{children}</ConvexAuthProxyProvider>
    </SessionProvider>
  );
}

async function become(web: FakeWeb, session: unknown): Promise<void> {
  web.session = session;
  await act(async () => void (await __NEXTAUTH._getSession({ event: "storage" })));
}

async function page(t: TestContext, session: unknown, { strict = false, read = session }: { strict?: boolean; read?: unknown } = {}) {
  const web = fakeWeb(t, read);
  const deployment = new FakeDeployment();
  const rendered = await render(t, app(deployment, session), { strict });
  // A socket that is still being closed would meet the next test's time.
  t.after(() => eventually(() => deployment.open.length === 0, "every socket is closed"));
  await eventually(() => rendered.text() === "answer", "the query is answered");
  return { web, deployment, ...rendered };
}

beforeEach(() => {
  process.env.NEXT_PUBLIC_CONVEX_URL = "https://app.example.com/convex";
});

test("a page of somebody signed in opens one socket and keeps it", async (t) => {
  for (const { session, read } of [{ session: sessionOf("ada"), read: sessionOf("ada") }, { session: undefined, read: sessionOf("ada") }]) {
    const { web, deployment } = await page(t, session, { read });
    const first = client;
    await become(web, sessionOf("ada", { expires: "2099-01-01T00:00:00.000Z" }));
    assert.equal(client, first);
    assert.equal(deployment.sockets.length, 1);
    assert.match(deployment.sockets[0]!.url, /^wss:\/\/app\.example\.com\/convex\/api\/.*sync$/);
  }
});

test("a sign-in without a page load opens a new socket and closes the one before", async (t) => {
  const { web, deployment, text } = await page(t, null);
  const first = client;
  await become(web, sessionOf("ada"));
  assert.notEqual(client, first);
  await eventually(() => deployment.sockets.length === 2 && deployment.open.length === 1 && text() === "answer", "one socket is left");
  assert.equal(deployment.sockets[0]!.readyState, 3);
});

test("a session that was read as nobody's and then is somebody's opens a new socket", async (t) => {
  const { web, deployment } = await page(t, undefined, { read: null });
  await become(web, sessionOf("ada"));
  await eventually(() => deployment.sockets.length === 2 && deployment.open.length === 1, "one new socket");
});

test("a sign-out keeps the socket, a sign-in after it does not, be it the same user or another", async (t) => {
  const { web, deployment } = await page(t, sessionOf("ada"));
  const first = client;
  await become(web, null);
  assert.equal(client, first);
  await become(web, sessionOf("ada"));
  await eventually(() => deployment.sockets.length === 2 && deployment.open.length === 1, "a second socket");
  await become(web, null);
  await become(web, sessionOf("bob"));
  await eventually(() => deployment.sockets.length === 3 && deployment.open.length === 1, "a third socket");
});

test("another user without a sign-out between opens a new socket", async (t) => {
  const { web, deployment } = await page(t, sessionOf("ada"));
  await become(web, sessionOf("bob"));
  await eventually(() => deployment.sockets.length === 2 && deployment.open.length === 1, "one new socket");
});

test("the client before stays until its mutation is answered", async (t) => {
  const { web, deployment } = await page(t, null);
  deployment.answersMutations = false;
  const first = deployment.sockets[0]!;
  const mutation = client.mutation(send, {});
  await eventually(() => first.mutations.length === 1, "the mutation has arrived");
  await become(web, sessionOf("ada"));
  await eventually(() => deployment.open.length === 2, "both sockets are open");
  await act(async () => new Promise((resolve) => setTimeout(resolve, 50)));
  assert.equal(first.readyState, 1);
  first.answerMutations();
  assert.equal(await mutation, null);
  await eventually(() => first.readyState === 3, "the first socket is closed");
  assert.equal(deployment.open.length, 1);
});

test("the client before is closed after ten seconds, answered or not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { web, deployment, unmount } = await page(t, null);
  deployment.answersMutations = false;
  const first = deployment.sockets[0]!;
  void client.mutation(send, {});
  await eventually(() => first.mutations.length === 1, "the mutation has arrived");
  await become(web, sessionOf("ada"));
  await act(async () => t.mock.timers.tick(9_999));
  assert.equal(first.readyState, 1);
  await act(async () => t.mock.timers.tick(1));
  await eventually(() => first.readyState === 3, "the first socket is closed");
  // While time is still the test's: a timer of the other kind would keep the process alive.
  await unmount();
  await act(async () => t.mock.timers.tick(1));
  await eventually(() => deployment.open.length === 0, "the second too");
});

test("in StrictMode one socket is opened and it stays usable", async (t) => {
  const { web, deployment, text } = await page(t, sessionOf("ada"), { strict: true });
  await act(async () => new Promise((resolve) => setTimeout(resolve, 20)));
  assert.deepEqual([deployment.sockets.length, deployment.open.length, text()], [1, 1, "answer"]);
  await client.mutation(send, {});
  await become(web, sessionOf("bob"));
  await eventually(() => deployment.sockets.length === 2 && deployment.open.length === 1, "one new socket");
});

test("a part of the page that is hidden and shown again keeps its client", async (t) => {
  fakeWeb(t, sessionOf("ada"));
  const deployment = new FakeDeployment();
  const shown = (mode: "visible" | "hidden") => <Activity mode={mode}>{app(deployment, sessionOf("ada"))}</Activity>;
  const { show, text } = await render(t, shown("visible"));
  t.after(() => eventually(() => deployment.open.length === 0, "every socket is closed"));
  await eventually(() => text() === "answer", "the query is answered");
  await show(shown("hidden"));
  await act(async () => new Promise((resolve) => setTimeout(resolve, 20)));
  await show(shown("visible"));
  assert.equal(await client.mutation(send, {}), null);
  assert.deepEqual([deployment.sockets.length, deployment.open.length, text()], [1, 1, "answer"]);
});

test("a page that goes away closes its socket", async (t) => {
  const { deployment, unmount } = await page(t, sessionOf("ada"));
  await unmount();
  await eventually(() => deployment.open.length === 0, "the socket is closed");
});

test("a client that was never asked anything opens no socket, not even to be closed", async (t) => {
  const web = fakeWeb(t);
  const deployment = new FakeDeployment();
  const { unmount } = await render(t, app(deployment, null, <></>));
  await become(web, sessionOf("ada"));
  await unmount();
  await act(async () => new Promise((resolve) => setTimeout(resolve, 20)));
  assert.equal(deployment.sockets.length, 0);
});

test("it renders on a server and opens no socket there", (t) => {
  fakeWeb(t);
  const deployment = new FakeDeployment();
  assert.equal(renderToString(app(deployment, sessionOf("ada"))), "loading");
  assert.equal(deployment.sockets.length, 0);
});

test("without a URL it says which variable is missing", async (t) => {
  delete process.env.NEXT_PUBLIC_CONVEX_URL;
  fakeWeb(t);
  assert.throws(() => renderToString(app(new FakeDeployment(), null)), /NEXT_PUBLIC_CONVEX_URL/);
});
