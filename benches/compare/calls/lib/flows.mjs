// What a person does, step by step. Each step that is counted says with how few calls it cannot have been done.

import { pause } from "./processes.mjs";

/**
 * `title` is the table's. `atLeast`: calls of the adapter's functions; with fewer, the step did not do what it should. `isNone`: nor with
 * any.
 */
export const FLOWS = [
  { name: "anonymous", title: "page view, signed out", isNone: true },
  { name: "cold", title: "page view, 30 s after the one before", atLeast: { guide: 2, proxy: 1 } },
  { name: "warm", title: "page view, right after another", atLeast: { guide: 2, proxy: 0 } },
  { name: "burst", title: "5 requests of a page at once (the HTML alone)", atLeast: { guide: 5, proxy: 1 } },
  { name: "protected", title: "protected page view", atLeast: { guide: 2, proxy: 1 } },
  { name: "focus", title: "one of two open tabs comes into view", atLeast: { guide: 1, proxy: 1 } },
  { name: "open", title: "two tabs left open for 60 s", atLeast: { guide: 0, proxy: 0 } },
  { name: "ask", title: "sign-in by link: ask", atLeast: { guide: 2, proxy: 2 } },
  { name: "click", title: "sign-in by link: click, new user", atLeast: { guide: 5, proxy: 4 } },
  { name: "first", title: "first page view after it", atLeast: { guide: 2, proxy: 1 } },
  { name: "oidc-new", title: "sign-in by OIDC, new user", atLeast: { guide: 6, proxy: 5 } },
  { name: "oidc-known", title: "sign-in by OIDC, known user", atLeast: { guide: 3, proxy: 2 } },
  { name: "link", title: "link an account", atLeast: { guide: 4, proxy: 3 } },
  { name: "sign-out", title: "sign-out, with a page open", atLeast: { guide: 1, proxy: 1 } },
];

const BURST = 5;
const IDLE_MS = 30_000;
/** Longer than the proxy keeps a session. */
const FORGOTTEN_MS = 3_000;
const OPEN_MS = 60_000;

/**
 * One round. `count(name, act)` counts the calls from the beginning of `act` until the deployment is left alone, with the page still open
 * that `act` may return; then it closes that. `still()` waits until the deployment is left alone.
 */
export async function round({ visitor, count, still, isQuick, tag }) {
  const letter = `${tag}@example.com`;
  const ada = { name: "Ada Lovelace", email: `${tag}.ada@example.com` };
  const grace = { name: "Grace Hopper", email: `${tag}.grace@example.com` };
  const forget = () => pause(FORGOTTEN_MS);

  await count("anonymous", () => visitor.openBoard("nobody"));
  await count("ask", () => visitor.askForLink(letter));
  const link = await visitor.link(letter);
  await count("click", () => visitor.click(link));
  await count("first", () => visitor.openBoard("somebody"));

  await pause(isQuick ? FORGOTTEN_MS : IDLE_MS);
  await count("cold", () => visitor.openBoard("somebody"));
  await forget();
  // Read whole, so that the reads of it are over when the next begins.
  await count("warm", () => visitor.openBoard("somebody"), () => visitor.fetchBoard());
  await forget();
  await count("burst", async () => void (await Promise.all(Array.from({ length: BURST }, () => visitor.fetchBoard()))));
  await forget();
  await count("protected", async () => {
    const { page, subject, providers } = await visitor.openAccount();
    if (!subject) throw new Error("the protected page does not say whose it is");
    if (providers.length !== 0) throw new Error(`a new user has accounts already: ${providers}`);
    return page;
  });

  await inTabs(2, visitor, async ([, second]) => {
    await still();
    await forget();
    await count("focus", () => visitor.lookAt(second));
    if (!isQuick) await count("open", () => pause(OPEN_MS));
  });

  await count("link", () => visitor.signInAtProvider(ada, "/account"));
  const linked = await visitor.openAccount();
  if (linked.providers.join() !== "local") throw new Error(`the linked accounts are: ${linked.providers}`);
  await linked.page.close();

  await inTabs(1, visitor, async ([page]) => {
    await still();
    await forget();
    await count("sign-out", () => visitor.signOut(page));
  });
  // The provider would ask first whether the person before is to be signed out there.
  await visitor.forgetCookies();
  await count("oidc-new", () => visitor.signInAtProvider(grace));
  await visitor.forgetCookies();
  await count("oidc-known", () => visitor.signInAtProvider(grace));
  await visitor.forgetCookies();
}

async function inTabs(number, visitor, act) {
  const pages = [];
  for (let tab = 0; tab < number; tab += 1) pages.push(await visitor.openBoard("somebody"));
  await act(pages);
  for (const page of pages) await page.close();
}
