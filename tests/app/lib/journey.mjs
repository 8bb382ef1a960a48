// A journey: a test with people in it, after which no page may have told of an error.

import { after, before, describe, test } from "node:test";

import { hasChromium, launchBrowser } from "../../e2e/lib/page.mjs";
import { isInstalled } from "./ingress.mjs";
import { Visitor } from "./visitor.mjs";
import { startWay } from "./way.mjs";

/** Journeys of `groups` on one way of putting things together; each group gets `journey` and `way`, whose members are there when tests run. */
export function describeWay(title, ingress, groups) {
  describe(title, { skip: process.env.CI ? false : missing(ingress) }, () => {
    const way = {};
    let browser;
    before(async () => {
      Object.assign(way, await startWay(ingress));
      browser = await launchBrowser();
    });
    after(async () => {
      await browser?.close();
      await way.stop?.();
    });

    /** `steps` gets `{ arrive, tell }`: `arrive()` brings a new person, `tell` writes a figure into the report. */
    function journey(name, steps) {
      test(name, async (t) => {
        const visitors = [];
        const arrive = async (options) => {
          const visitor = await Visitor.arrive(browser, way.origin, options);
          visitors.push(visitor);
          return visitor;
        };
        try {
          await steps({ arrive, tell: (line) => t.diagnostic(line) });
          for (const visitor of visitors) {
            visitor.assertCookieAlone();
            visitor.assertNoProblems();
          }
        } catch (error) {
          for (const line of await whereTheyStood(visitors)) t.diagnostic(line);
          t.diagnostic(`the app's log ends: ${way.log().slice(-1_500)}`);
          throw error;
        } finally {
          await Promise.all(visitors.map(({ context }) => context.close()));
        }
      });
    }
    for (const group of groups) group({ journey, way });
  });
}

/** Why the journeys cannot be made here, `false` when they can. */
function missing(ingress) {
  if (!hasChromium) return "there is no Chromium";
  return ingress && !isInstalled(ingress) ? `there is no ${ingress}` : false;
}

async function whereTheyStood(visitors) {
  const lines = visitors.flatMap(({ problems }) => problems.map((problem) => `problem: ${problem}`));
  const tabs = visitors.flatMap(({ tabs }) => tabs).filter(({ page }) => !page.isClosed());
  for (const { page } of tabs) {
    const text = await page.locator("body").innerText({ timeout: 1_000 }).catch((error) => error.message);
    lines.push(`a tab was on ${page.url()}: ${text.replaceAll(/\s+/g, " ").slice(0, 400)}`);
  }
  return lines;
}
