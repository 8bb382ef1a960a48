// Pictures of the pages, for people to look at: only when SCREENSHOTS names a folder.

import { join } from "node:path";

import { askForLetter, bePerson, openLetter, signInByOidc, somebody } from "../lib/pages.mjs";

const FOLDER = process.env.SCREENSHOTS;

const LOOKS = ["light", "dark"].flatMap((colorScheme) => [390, 1200].map((width) => ({ colorScheme, width })));

export function pictures({ journey, way }) {
  if (!FOLDER) return;
  for (const { colorScheme, width } of LOOKS) {
    journey(`pictures, ${colorScheme}, ${width} wide`, async ({ arrive }) => {
      const look = { colorScheme, viewport: { width, height: 800 } };
      const take = async ({ page }, name) => {
        // A tab behind another is not drawn.
        await page.bringToFront();
        await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}-${width}.png`), fullPage: true, animations: "disabled" });
      };
      const { email } = somebody();
      const visitor = await arrive(look);
      const tab = await visitor.open("/");
      await tab.showsNobody();
      await tab.shows("connection", { state: "connected" });
      await take(tab, "board-anonymous");

      await tab.page.goto("/signin");
      await take(tab, "sign-in");
      await tab.page.goto("/signin?error=OAuthAccountNotLinked");
      await take(tab, "sign-in-error");
      await tab.page.goto("/auth-error?error=Verification");
      await take(tab, "error");
      await tab.page.goto("/signin");
      await askForLetter(tab, email);
      await tab.showsNobody();
      await take(tab, "check-mail");
      const other = await visitor.open("/mailbox");
      await take(other, "mailbox");
      await openLetter(other, email);
      await tab.shows("check-mail", { state: "signed-in" });
      await tab.showsSomebody();
      await take(tab, "check-mail-signed-in");

      await other.showsSomebody();
      const first = `A first line, ${colorScheme} and ${width} wide.`;
      await other.write(`${first}\nAnd a second one, which is a good deal longer than the others, so that it has to be broken somewhere.`);
      await other.author(first);
      await take(other, "board-signed-in");
      await other.page.goto("/account");
      await other.page.getByRole("button", { name: "Link an account of Local OIDC" }).click();
      await other.page.getByRole("heading", { name: "Who are you?" }).waitFor();
      await take(other, "provider");
      await bePerson(other.page, somebody());
      await other.shows("account", { provider: "local" });
      await take(other, "account");

      const named = await (await arrive(look)).open("/signin");
      await signInByOidc(named, { ...somebody(), name: "Ada, Countess of Lovelace and of some longer names" });
      await named.showsSomebody();
      await take(named, "board-named");

      visitor.allow(/404|React error #441|50\d/);
      await tab.page.goto("/no-such-page");
      await take(tab, "not-found");
      way.adapterSwitch.cut();
      await tab.page.goto("/account");
      await tab.part("outage").waitFor();
      await take(tab, "outage");
      way.adapterSwitch.mend();
    });
  }
}
