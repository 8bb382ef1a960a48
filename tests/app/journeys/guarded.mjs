// What is guarded: the page that asks who one is, the session that somebody else ends, and what a page must not hold.

import assert from "node:assert/strict";

import { send, valueOf } from "../../e2e/lib/http.mjs";
import { waitFor } from "../../e2e/lib/proxy.mjs";
import { askForLetter, openLetter, pathOf, signInByLetter, signInByOidc, somebody } from "../lib/pages.mjs";

const JWT = /eyJ[\w-]{10,}\.[\w-]+\.[\w-]+/;

/** From the row's end to the next page being nobody's: the cache's two seconds, and some. */
const NOTICED_WITHIN_MS = 5_000;

/** And to the open page's socket: a token's ten seconds, and some. */
const RENEWED_WITHIN_MS = 13_000;

export function protectedPage({ journey }) {
  journey("the protected page sends a stranger to the sign-in and, signed in by letter, back to itself", async ({ arrive }) => {
    const { email } = somebody();
    const tab = await (await arrive()).open("/account");
    assert.match(pathOf(tab), /^\/signin\?callbackUrl=%2Faccount$/);
    await askForLetter(tab, email);
    await openLetter(tab, email);
    await tab.page.waitForURL("**/account");
    const subject = await tab.part("server-identity").getAttribute("data-subject");
    await tab.page.getByRole("link", { name: "Board", exact: true }).click();
    assert.equal(await tab.showsSomebody(), subject, "server and socket know the same user");
  });

  journey("the protected page comes back after a sign-in by a provider too, and a foreign address is no way back", async ({ arrive }) => {
    const tab = await (await arrive()).open("/account");
    await signInByOidc(tab, somebody());
    await tab.page.waitForURL("**/account");
    await tab.part("server-identity").waitFor();

    const led = await (await arrive()).open("/signin?callbackUrl=https%3A%2F%2Fevil.example%2Faccount");
    await signInByOidc(led, somebody());
    await led.shows("session", { state: "signed-in" });
    assert.equal(new URL(led.page.url()).origin, led.visitor.origin);
  });
}

export function revocation({ journey, way }) {
  journey("a session that somebody else deleted is nobody's on the next page, and its cookie goes", async ({ arrive }) => {
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, somebody().email);
    await tab.showsSomebody();
    await deleteSession(way, visitor);
    // In the moment in which the proxy forgets the session, one half of the page may know it and the other not any more: it says "try again".
    visitor.allow(/\/account: 500/, /status of 500/, /React error #441/);
    await waitFor("the protected page sends to the sign-in", async () => {
      await tab.page.goto("/account");
      return pathOf(tab).startsWith("/signin");
    }, NOTICED_WITHIN_MS);
    await tab.page.goto("/");
    await tab.showsNobody();
    await tab.shows("session", { state: "nobody" });
    await waitFor("the cookie is gone", async () => (await visitor.sessionToken()) === undefined);
  });
}

/** For a way with short tokens: that is when an open socket's session is looked at, if nothing was written through the proxy. */
export function revocationLive({ journey, way }) {
  journey("a session that somebody else deleted turns the open page anonymous when its token ends", async ({ arrive, tell }) => {
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, somebody().email);
    await tab.showsSomebody();
    await tab.mark();
    await tab.notesNobody();
    const deletedAt = Date.now();
    await deleteSession(way, visitor);
    await tab.shows("whoami", { state: "nobody" }, RENEWED_WITHIN_MS);
    tell(`nobody ${(await tab.notedNobody()) - deletedAt} ms after the row was deleted behind the proxy's back`);
    await tab.assertNotReloaded({ newSockets: 0 });
    const body = `nobody says so: ${somebody().email}`;
    await tab.write(body);
    assert.equal(await tab.author(body), "anonymous");
  });
}

/** Straight at the deployment, as a cron or the dashboard would. */
async function deleteSession({ deploymentUrl, secret }, visitor) {
  const sessionToken = await visitor.sessionToken();
  await valueOf(deploymentUrl, "mutation", "authAdapter:deleteSession", { secret, sessionToken });
}

export function noSecrets({ journey, way }) {
  journey("nothing that a page is sent holds the session's token, a JWT or the adapter's secret", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    await signInByLetter(visitor, email);
    const sessionToken = await visitor.sessionToken();
    assert.ok(sessionToken.length >= 32);
    const secrets = [sessionToken, way.secret, JWT];

    const tab = await visitor.open("/mailbox");
    const bodies = [];
    tab.page.on("response", (response) => bodies.push(response.text().then((text) => ({ url: response.url(), text }), () => null)));
    for (const path of ["/account", "/check-mail", "/"]) {
      const page = await tab.page.goto(path);
      assert.ok((await page.text()).includes(email), `${path} was made for somebody`);
    }
    await tab.showsSomebody();
    const read = (await Promise.all(bodies)).filter(Boolean);
    assert.ok(read.some(({ url }) => url.endsWith(".js")), "scripts were read too");
    const stored = await tab.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    for (const { url, text } of [...read, { url: "the page's storage", text: stored }]) assertHoldsNone(url, text, secrets);
    for (const { received } of visitor.tabs.flatMap(({ sockets }) => sockets)) assertHoldsNone("a socket", received.join("\n"), secrets);
  });

  journey("the session route tells who one is, nothing else, and is stored nowhere", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    await signInByLetter(visitor, email);
    const cookie = `authjs.session-token=${await visitor.sessionToken()}`;
    const { status, headers, text, json } = await send(`${way.origin}/api/auth/session`, { headers: { cookie } });
    assert.equal(status, 200);
    assert.match(headers["cache-control"], /no-store/);
    assert.deepEqual(Object.keys(json).sort(), ["expires", "id", "user"]);
    assert.deepEqual(Object.keys(json.user).sort(), ["email", "id", "name"]);
    assert.equal(json.user.email, email);
    assertHoldsNone("the session route", text, [await visitor.sessionToken(), way.secret, JWT]);
  });
}

function assertHoldsNone(what, text, secrets) {
  for (const secret of secrets) {
    const isHeld = secret instanceof RegExp ? secret.test(text) : text.includes(secret);
    assert.ok(!isHeld, `${what} holds ${secret instanceof RegExp ? "a JWT" : "a secret"}`);
  }
}
