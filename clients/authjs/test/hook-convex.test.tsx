import { eventually, render } from "./lib/render.js";

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConvexProviderWithAuth, ConvexReactClient, useConvexAuth, useQuery } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { createConvexAuthProxyHook } from "convex-auth-proxy-adapter/react";
import { __NEXTAUTH, SessionProvider } from "next-auth/react";
import { act } from "react";

import { FakeDeployment } from "./lib/fake-deployment.js";
import { fakeWeb, sessionOf, tokenAnswer } from "./lib/fake-web.js";

const list = makeFunctionReference<"query", Record<string, never>, string>("demo:list");
const useAuth = createConvexAuthProxyHook({ url: "http://localhost:8080" });

function Shown() {
  const { isLoading, isAuthenticated } = useConvexAuth();
  const answer = useQuery(list, {});
  return `${isLoading ? "loading" : isAuthenticated ? "signed in" : "signed out"}, ${answer ?? "no"} answer`;
}

const subjectOf = (token: string | null) => token && JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()).sub;

for (const strict of [false, true]) {
  test(`with Convex's own client a page lives through sign-in, another user and sign-out${strict ? ", in StrictMode" : ""}`, async (t) => {
    let who = "ada";
    const web = fakeWeb(t, sessionOf("ada"));
    web.onTokenRequest = (request) => request.answer(200, tokenAnswer(who));
    const deployment = new FakeDeployment();
    const client = new ConvexReactClient("http://localhost:8080", { webSocketConstructor: deployment.WebSocket, logger: false });
    t.after(() => client.close());
    const { shown } = deployment;
    const page = await render(
      t,
      <SessionProvider>
        <ConvexProviderWithAuth client={client} useAuth={useAuth}>
          <Shown />
        </ConvexProviderWithAuth>
      </SessionProvider>,
      { strict },
    );
    const become = async (session: unknown) => {
      web.session = session;
      await act(async () => void (await __NEXTAUTH._getSession({ event: "storage" })));
    };

    await eventually(() => page.text() === "signed in, answer answer", "signed in");
    await eventually(() => web.tokenRequests.some(({ force }) => force) && shown.length >= 2, "Convex has refreshed");
    assert.deepEqual([...new Set(shown.filter(Boolean).map(subjectOf))], ["ada"]);
    assert.equal(new Set(shown.filter(Boolean)).size, shown.filter(Boolean).length, "no token is shown twice");

    who = "bob";
    await become(sessionOf("bob"));
    await eventually(() => subjectOf(shown.at(-1)!) === "bob" && page.text() === "signed in, answer answer", "signed in as bob");

    await become(null);
    await eventually(() => page.text() === "signed out, answer answer", "signed out");
    assert.equal(shown.at(-1), null);
    assert.equal(deployment.open.length, 1);
  });
}
