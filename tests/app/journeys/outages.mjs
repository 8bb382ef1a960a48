// Something goes away and comes back: the page says so, and nobody is signed out.

import assert from "node:assert/strict";

import { pathOf, signInByLetter, somebody } from "../lib/pages.mjs";

/** A client's first tries after a lost socket come after one, two and four seconds, roughly. */
const BACK_WITHIN_MS = 15_000;

/** What a browser tells of a cut line, or of an ingress that has nobody behind it. */
const CUT = [/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET/, /WebSocket/i, /: 50[0234]\b/, /status of 50[0234]/];

/** What React tells in a browser of an error that the server threw while it made the page. */
const THROWN = [/React error #441/];

export function outages({ journey, way }) {
  journey("the public listener goes away: the page says so, keeps its user, and sends once what was written meanwhile", async ({ arrive, tell }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, email);
    const friend = await (await arrive()).open("/");
    const userId = await tab.showsSomebody();
    await friend.shows("connection", { state: "connected" });
    await tab.mark();
    const cookie = await visitor.sessionToken();
    for (const one of [visitor, friend.visitor]) one.allow(...CUT);

    way.publicSwitch.cut();
    const body = `written while the line was cut: ${email}`;
    try {
      await tab.shows("connection", { state: "reconnecting" });
      await tab.write(body);
      await tab.page.locator('[data-testid="message"][data-pending]').filter({ hasText: body }).waitFor();
      await tab.shows("session", { state: "signed-in" });
      assert.equal(await tab.whoami(), userId);
    } finally {
      way.publicSwitch.mend();
    }
    const mendedAt = Date.now();
    await tab.shows("connection", { state: "connected" }, BACK_WITHIN_MS);
    assert.notEqual(await tab.author(body), "anonymous");
    tell(`connected and written ${Date.now() - mendedAt} ms after the line was back`);
    await friend.shows("connection", { state: "connected" }, BACK_WITHIN_MS);
    await friend.author(body);
    assert.equal(await friend.page.getByText(body, { exact: true }).count(), 1, "once");
    assert.equal(await tab.showsSomebody(), userId);
    assert.equal(await visitor.sessionToken(), cookie);
    assert.equal(await tab.page.evaluate(() => window.isSamePage), true);
  });

  journey("the adapter listener goes away: the protected page says so, nobody is signed out, and it comes back", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, email);
    const userId = await tab.showsSomebody();
    const cookie = await visitor.sessionToken();
    visitor.allow(...CUT, ...THROWN);

    way.adapterSwitch.cut();
    try {
      await tab.page.goto("/account");
      await tab.part("outage").waitFor();
      assert.match(await tab.part("outage").textContent(), /You have not been signed out/);
      assert.equal(pathOf(tab), "/account", "not sent to the sign-in");
      assert.equal(await visitor.sessionToken(), cookie, "the cookie is kept");
    } finally {
      way.adapterSwitch.mend();
    }
    await tab.page.getByRole("button", { name: "Try again" }).click();
    await tab.shows("server-identity", { subject: userId });
    assert.equal(await visitor.sessionToken(), cookie);
    await tab.shows("session", { state: "signed-in" });
  });

  journey("the adapter listener goes away: the board stays live, and signed in", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const open = await signInByLetter(visitor, email);
    const userId = await open.showsSomebody();
    const cookie = await visitor.sessionToken();
    visitor.allow(...CUT, /errors\.authjs\.dev/);

    way.adapterSwitch.cut();
    try {
      const loaded = await visitor.open("/");
      assert.equal(await loaded.showsSomebody(), userId, "the socket does not need that listener");
      assert.equal(await visitor.sessionToken(), cookie, "the cookie is kept");
      await open.write(`still here: ${email}`);
      assert.notEqual(await open.author(`still here: ${email}`), "anonymous");
    } finally {
      way.adapterSwitch.mend();
    }
    const again = await visitor.open("/");
    await again.shows("session", { state: "signed-in" });
    for (const tab of visitor.tabs) assert.equal(await tab.showsSomebody(), userId);
  });
}

/** For a way in which the deployment is a process of its own. */
export function deploymentOutage({ journey, way }) {
  journey("the deployment goes away: open pages and new ones say so, nobody is signed out, and all of it comes back", async ({ arrive, tell }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const board = await signInByLetter(visitor, email);
    const userId = await board.showsSomebody();
    const account = await visitor.open("/account");
    await account.shows("server-identity", { subject: userId });
    const cookie = await visitor.sessionToken();
    visitor.allow(...CUT, ...THROWN);
    await board.mark();

    way.deploymentSwitch.cut();
    const body = `written without a deployment: ${email}`;
    try {
      await board.shows("connection", { state: "reconnecting" });
      await board.write(body);
      await account.page.reload();
      await account.part("outage").waitFor();
      assert.match(await account.part("outage").textContent(), /You have not been signed out/);
      assert.equal(await visitor.sessionToken(), cookie, "the cookie is kept");
    } finally {
      way.deploymentSwitch.mend();
    }
    const mendedAt = Date.now();
    await board.shows("connection", { state: "connected" }, BACK_WITHIN_MS);
    assert.notEqual(await board.author(body), "anonymous");
    tell(`connected and written ${Date.now() - mendedAt} ms after the deployment was back`);
    assert.equal(await board.showsSomebody(), userId);
    await account.page.getByRole("button", { name: "Try again" }).click();
    await account.shows("server-identity", { subject: userId });
    for (const tab of [board, account]) await tab.shows("session", { state: "signed-in" });
    assert.equal(await visitor.sessionToken(), cookie);
    assert.equal(await board.page.evaluate(() => window.isSamePage), true);
  });
}
