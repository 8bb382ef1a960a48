// Pages that stay open while somebody signs in or out: their sockets follow.

import assert from "node:assert/strict";

import { askForLetter, bePerson, openLetter, signInByLetter, signOut, somebody } from "../lib/pages.mjs";

/** From the click on "Sign out" to the other tab's socket being nobody's. */
const NOBODY_WITHIN_MS = 2_000;

export function signOutElsewhere({ journey }) {
  journey("signs out in one tab, and the other turns anonymous live", async ({ arrive, tell }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, email);
    const other = await visitor.open("/");
    const friend = await (await arrive()).open("/");
    await other.showsSomebody();
    await other.mark();
    await other.notesNobody();

    const clickedAt = Date.now();
    await signOut(tab);
    await other.showsNobody();
    const took = (await other.notedNobody()) - clickedAt;
    tell(`nobody ${took} ms after the click on "Sign out" in the other tab`);
    assert.ok(took <= NOBODY_WITHIN_MS, `${took} ms`);
    await other.shows("session", { state: "nobody" });
    assert.equal(await visitor.sessionToken(), undefined, "the cookie is gone");

    // The socket lives on: it still brings what others write, and what it writes is nobody's.
    const body = `after the sign-out of ${email}`;
    await friend.write(body);
    await other.author(body);
    const reply = `nobody writes this: ${email}`;
    await other.write(reply);
    assert.equal(await friend.author(reply), "anonymous");
    await other.assertNotReloaded({ newSockets: 0 });
  });
}

export function signInWithoutLoad({ journey }) {
  journey("signs in in a window of its own, and the page behind it opens one new socket with the cookie", async ({ arrive }) => {
    const person = somebody();
    const tab = await (await arrive()).open("/");
    await tab.showsNobody();
    await tab.mark();
    const opening = tab.page.waitForEvent("popup");
    await tab.part("popup-local").click();
    const popup = await opening;
    const closed = popup.waitForEvent("close");
    await bePerson(popup, person);
    await closed;

    await tab.showsSomebody();
    await tab.shows("session", { state: "signed-in" });
    assert.equal(await tab.part("session-name").textContent(), person.name);
    await assertSecondSocketSpeaks(tab, person.email);
  });

  journey("waits for the letter in one tab, opens it in another, and the first is signed in without a load", async ({ arrive }) => {
    const { email } = somebody();
    const visitor = await arrive();
    const waiting = await visitor.open("/signin");
    await askForLetter(waiting, email);
    await waiting.shows("check-mail", { state: "waiting" });
    await waiting.showsNobody();
    await waiting.mark();

    const other = await visitor.open("/mailbox");
    await openLetter(other, email);
    const userId = await other.showsSomebody();

    await waiting.shows("check-mail", { state: "signed-in" });
    assert.equal(await waiting.showsSomebody(), userId);
    await waiting.assertNotReloaded({ newSockets: 1 });
    await waiting.page.getByRole("link", { name: "Go to the board" }).click();
    await assertSecondSocketSpeaks(waiting, email);
  });

  journey("signs out and in again as somebody else in one tab, and the other tab follows to the new user", async ({ arrive }) => {
    const [first, second] = [somebody(), somebody()];
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, first.email);
    const other = await visitor.open("/");
    const before = await other.showsSomebody();
    await other.mark();
    await signOut(tab);
    await other.showsNobody();

    await tab.page.goto("/signin");
    await askForLetter(tab, second.email);
    await openLetter(tab, second.email);
    const userId = await tab.showsSomebody();
    assert.notEqual(userId, before);
    await other.shows("whoami", { subject: userId });
    await other.assertNotReloaded({ newSockets: 1 });
  });
}

/** The page wrote on a new socket, the one before is closed, and the new one is its user's. */
async function assertSecondSocketSpeaks(tab, email) {
  const body = `on the new socket of ${email}`;
  await tab.write(body);
  assert.notEqual(await tab.author(body), "anonymous");
  await tab.assertNotReloaded({ newSockets: 1 });
  const open = tab.sockets.filter(({ isClosed }) => !isClosed);
  assert.equal(open.length, 1, "the socket before is closed");
  assert.ok(open[0].sent.some((text) => text.includes(body)), "it was written on the new socket");
}
