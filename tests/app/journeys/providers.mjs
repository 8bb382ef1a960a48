// Accounts of an OpenID Connect provider: signing up with one, linking one, and the address that is taken.

import assert from "node:assert/strict";

import { assertIsUserId, bePerson, pathOf, signInByLetter, signInByOidc, signOut, somebody } from "../lib/pages.mjs";

export function accounts({ journey }) {
  journey("signs up by a provider, and comes back as the same user", async ({ arrive }) => {
    const person = somebody();
    const visitor = await arrive();
    const tab = await visitor.open("/signin");
    await signInByOidc(tab, person);
    await tab.shows("session", { state: "signed-in" });
    assert.equal(pathOf(tab), "/");
    assert.equal(await tab.part("session-name").textContent(), person.name);
    const userId = await tab.showsSomebody();
    assertIsUserId(userId);

    await signOut(tab);
    await tab.showsNobody();
    await tab.page.goto("/signin");
    await signInByOidc(tab, person);
    assert.equal(await tab.showsSomebody(), userId);
  });

  journey("links an account, which appears live in another tab, and signs in by it alone as the same user", async ({ arrive }) => {
    const { email } = somebody();
    const account = somebody();
    const visitor = await arrive();
    const tab = await signInByLetter(visitor, email);
    const userId = await tab.showsSomebody();
    await tab.page.getByRole("link", { name: "Account" }).click();
    await tab.shows("server-identity", { subject: userId });
    const other = await visitor.open("/account");
    assert.equal(await other.part("account").count(), 0);
    await other.mark();

    await tab.page.getByRole("button", { name: "Link an account of Local OIDC" }).click();
    await bePerson(tab.page, account);
    await tab.shows("account", { provider: "local" });
    assert.equal(pathOf(tab), "/account");
    await other.shows("account", { provider: "local" });
    await other.assertNotReloaded({ newSockets: 0 });
    await tab.shows("server-identity", { subject: userId });

    await signOut(tab);
    await tab.page.goto("/signin");
    await signInByOidc(tab, account);
    assert.equal(await tab.showsSomebody(), userId);
    assert.equal(await tab.part("session-name").textContent(), email);
  });

  journey("an account with an address that somebody has is not let in, and the page says what to do", async ({ arrive }) => {
    const { name, email } = somebody();
    const tab = await signInByLetter(await arrive(), email);
    const userId = await tab.showsSomebody();
    await signOut(tab);

    await tab.page.goto("/signin");
    await signInByOidc(tab, { name, email });
    await tab.shows("auth-error", { code: "OAuthAccountNotLinked" });
    const words = await tab.part("auth-error").textContent();
    assert.match(words, /Sign in as you did before/);
    assert.match(words, /link/);
    assert.equal(await tab.visitor.sessionToken(), undefined);

    // And what it says helps.
    const again = await signInByLetter(tab.visitor, email);
    assert.equal(await again.showsSomebody(), userId);
    await again.page.goto("/account");
    await again.page.getByRole("button", { name: "Link an account of Local OIDC" }).click();
    await bePerson(again.page, { name, email });
    await again.shows("account", { provider: "local" });
  });

  journey("a sign-in that is cancelled at the provider says so, and nobody is signed in", async ({ arrive }) => {
    const tab = await (await arrive()).open("/signin");
    await tab.page.getByRole("button", { name: "Sign in with Local OIDC" }).click();
    await tab.page.getByRole("button", { name: "Cancel" }).click();
    await tab.shows("auth-error", { code: "OAuthCallbackError" });
    assert.equal(await tab.visitor.sessionToken(), undefined);
  });
}
