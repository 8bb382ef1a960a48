// The zero-token browser: pages in a headless Chromium whose cookie is all that says who they are.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { connect } from "./lib/clients.mjs";
import { send } from "./lib/http.mjs";
import { hasChromium, openBrowser, openTab, servePages } from "./lib/page.mjs";
import { startDev, waitFor } from "./lib/proxy.mjs";
import { signedIn } from "./lib/seed.mjs";

describe("in a browser", { skip: hasChromium || process.env.CI ? false : "there is no Chromium" }, async () => {
  const app = await servePages(["chat", "tokens"]);
  const evil = await servePages(["chat"]);
  const proxy = await startDev({ CONVEX_AUTH_PROXY__SESSION__ORIGINS: app.origin, CONVEX_AUTH_PROXY__TOKEN__LIFETIME: "12s" });
  app.pointAt(proxy.publicUrl);
  evil.pointAt(proxy.publicUrl);
  after(async () => {
    await proxy.stop();
    app.close();
    evil.close();
  });

  /** A browser in which somebody is signed in. */
  async function browserOf(t, visitor) {
    const browser = await openBrowser();
    t.after(() => browser.close());
    const tab = await openTab(browser);
    await tab.page.goto(`${app.origin}/sign-in/${visitor.sessionToken}`);
    return { browser, tab };
  }

  const signOut = ({ sessionToken }) => send(`${proxy.adapterUrl}/adapter/deleteSession`, { body: { sessionToken } });
  const shown = ({ page }, selector) => page.locator(selector).textContent();
  const shows = (tab, selector, text) => waitFor(`${selector} shows ${text}`, async () => (await shown(tab, selector)).includes(text));

  test("a page without any auth code shows its user, pushed writes, and nobody after the sign-out", async (t) => {
    const visitor = await signedIn(proxy);
    const { browser, tab } = await browserOf(t, visitor);
    const { page } = tab;
    await page.goto(`${app.origin}/chat`);
    await page.evaluate(() => (window.loadedOnce = true));
    await shows(tab, "#user", visitor.userId);
    assert.equal(await page.evaluate(() => document.cookie), "", "the page cannot read the cookie");

    const stranger = connect(t, proxy.publicUrl);
    await stranger.mutation("demo:send", { body: "pushed to the page" });
    await shows(tab, "#messages", "anonymous: pushed to the page");
    await page.fill("#body", "sent by the page");
    await page.click("button");
    await shows(tab, "#messages", "Grace Hopper: sent by the page");

    const second = await openTab(browser);
    await second.page.goto(`${app.origin}/chat`);
    await shows(second, "#user", visitor.userId);
    await shows(second, "#messages", "sent by the page");

    assert.equal((await signOut(visitor)).status, 200);
    for (const one of [tab, second]) await shows(one, "#user", "anonymous");
    await stranger.mutation("demo:send", { body: "after the sign-out" });
    for (const one of [tab, second]) {
      await shows(one, "#messages", "after the sign-out");
      assert.equal(one.sockets.length, 1, "the socket that it had");
      assert.deepEqual(one.failures, []);
    }
    assert.equal(await page.evaluate(() => window.loadedOnce), true, "without a reload");
  });

  test("a page on another origin is refused its socket, though the browser sends the cookie", async (t) => {
    const visitor = await signedIn(proxy);
    const { tab } = await browserOf(t, visitor);
    await tab.page.goto(`${evil.origin}/chat`);
    await waitFor("the handshake is refused", () => tab.failures.some((failure) => failure.includes("403")));
    assert.equal(await shown(tab, "#user"), "loading");
    assert.equal(await shown(tab, "#messages"), "");
  });

  test("a page on another origin without a cookie is nobody", async (t) => {
    const browser = await openBrowser();
    t.after(() => browser.close());
    const tab = await openTab(browser);
    await tab.page.goto(`${evil.origin}/chat`);
    await shows(tab, "#user", "anonymous");
  });

  test("a page that fetches tokens is authenticated, renews them by force, and is logged out with its session", async (t) => {
    const visitor = await signedIn(proxy);
    const { tab } = await browserOf(t, visitor);
    const { page } = tab;
    await page.goto(`${app.origin}/tokens`);
    await shows(tab, "#state", "authenticated");
    await shows(tab, "#user", visitor.userId);
    const asked = () => page.evaluate(() => window.asked);
    // At hand, then fresh, then two seconds before each is too old for the client.
    await waitFor("four tokens were asked for", async () => (await asked()).length >= 4);
    const given = await asked();
    assert.deepEqual(
      given.slice(0, 2).map(({ forceRefreshToken }) => forceRefreshToken),
      [false, true],
    );
    assert.ok(given.every(({ status }) => status === 200));
    assert.equal(new Set(given.map(({ token }) => token)).size, given.length, "each is a new one");
    assert.deepEqual(await page.evaluate(() => window.states), ["loading", "authenticated"], "it was never anything else");
    assert.equal(tab.sockets.length, 1);

    assert.equal((await signOut(visitor)).status, 200);
    await shows(tab, "#state", "unauthenticated");
    await shows(tab, "#user", "anonymous");
    assert.equal((await asked()).at(-1).status, 401);
    assert.deepEqual(tab.failures, []);
  });
});
