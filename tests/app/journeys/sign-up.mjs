// Becoming somebody: by letter and by a provider; and what a page holds of it.

import assert from "node:assert/strict";

import { askForLetter, assertIsUserId, openLetter, signInByLetter, somebody } from "../lib/pages.mjs";

/** The core: page, socket, sign-in, live data. */
export function signUpByLetter({ journey, way }) {
  journey("signs up by a letter's link, and the cookie alone says who one is, on the page and on the socket", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const tab = await visitor.open("/");
    await tab.showsNobody();
    await tab.shows("session", { state: "nobody" });
    await tab.page.getByRole("link", { name: "Sign in", exact: true }).click();
    await askForLetter(tab, email);
    await tab.showsNobody();
    await openLetter(tab, email);
    await tab.page.waitForURL(`${way.origin}/`);
    await tab.shows("session", { state: "signed-in" });
    assert.equal(await tab.part("session-name").textContent(), email);
    assertIsUserId(await tab.showsSomebody());
    await tab.shows("connection", { state: "connected" });

    const body = `hello from ${email}`;
    await tab.write(body);
    const author = await tab.author(body);
    assert.notEqual(author, "anonymous");
    assert.equal(await tab.page.evaluate(() => document.cookie.includes("session-token")), false, "the page cannot read the cookie");
  });

  journey("what one tab writes, another tab and a stranger see at once, and the stranger writes as nobody", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const first = await signInByLetter(visitor, email);
    const second = await visitor.open("/");
    const stranger = await (await arrive()).open("/");
    assert.equal(await second.showsSomebody(), await first.showsSomebody());
    await stranger.showsNobody();
    for (const tab of [second, stranger]) await tab.mark();

    const body = `everybody sees it: ${email}`;
    await first.write(body);
    const author = await first.author(body);
    for (const tab of [second, stranger]) assert.equal(await tab.author(body), author);

    const reply = `so do I, whoever that is: ${email}`;
    await stranger.write(reply);
    for (const tab of [stranger, first, second]) assert.equal(await tab.author(reply), "anonymous");
    for (const tab of [second, stranger]) await tab.assertNotReloaded({ newSockets: 0 });
  });
}
