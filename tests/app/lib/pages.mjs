// What people do on the example's pages.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

/** A person of whom nobody has heard. */
export function somebody() {
  const tag = randomBytes(5).toString("hex");
  return { name: `Somebody ${tag}`, email: `somebody-${tag}@example.com` };
}

/** Fills in the sign-in form in `tab`, and waits until the app says that the letter is on its way. */
export async function askForLetter(tab, email) {
  await tab.page.getByLabel("E-mail address").fill(email);
  await tab.page.getByRole("button", { name: "Send me a link" }).click();
  await tab.page.waitForURL("**/check-mail**");
}

/** Opens the newest letter to `email` in `tab`, by its link in the mailbox. */
export async function openLetter(tab, email) {
  await tab.page.goto("/mailbox");
  await tab.page.locator(`[data-testid="letter"][data-to="${email}"]`).getByTestId("letter-link").first().click();
}

/** Signs up or in by letter, all in one tab, which ends on `path`. */
export async function signInByLetter(visitor, email, path = "/") {
  const tab = await visitor.open("/signin");
  await askForLetter(tab, email);
  await openLetter(tab, email);
  await tab.page.waitForURL(`**${path}`);
  await tab.shows("session", { state: "signed-in" });
  return tab;
}

/** On the provider's page: be this person. */
export async function bePerson(page, { name, email }) {
  const form = page.getByRole("form", { name: "Somebody else" });
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("E-mail").fill(email);
  await form.getByRole("button", { name: "Continue" }).click();
}

/** From the sign-in page in `tab`: signs in at the provider as this person. */
export async function signInByOidc(tab, person) {
  await tab.page.getByRole("button", { name: "Sign in with Local OIDC" }).click();
  await bePerson(tab.page, person);
}

export async function signOut(tab) {
  await tab.page.getByRole("button", { name: "Sign out" }).click();
  await tab.shows("session", { state: "nobody" });
}

/** The path and the query of the address bar. */
export function pathOf(tab) {
  const { pathname, search } = new URL(tab.page.url());
  return pathname + search;
}

export function assertIsUserId(id) {
  assert.match(id, /^[a-z0-9]{31,37}$/);
}
