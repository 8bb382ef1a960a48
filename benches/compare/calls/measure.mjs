// How often a Convex deployment is called by an app with Auth.js, as Convex's guide sets it up and behind the proxy.
//
// Three subjects, each with a deployment, a build of the same example app and a browser of its own:
//
//     guide        the app's server calls each function of the adapter straight at the deployment, `auth()` is called by each layout and
//                  page that wants the session, the session callback signs a token at each read, and the page's Convex client is given
//                  that token and has a fresh one made by reading the session again (guide/, laid over the example)
//     guide-cache  the same, but `auth()` wrapped in React's cache(), as the example does it: one read for a request
//     proxy        the example as it is
//
// The deployment counts (`/_dev/calls`): a figure is the difference around a step, once nothing has been called for a second. Told are calls
// of the adapter's functions. Left out are the app's own queries: the pages have the same ones, and the embedded deployment runs a socket's
// queries again at each write, which a real one does only where their data changed. --json has them by function.
//
// Pages are loaded in Chromium; links are clicked and the provider's forms filled in by plain requests with the same cookies, so that a
// sign-in and the page after it are counted apart. A tab "comes into view" by the event that Auth.js listens to: a headless browser has all
// tabs in view. The app is built and started as in production. Both kinds of app have the example's own reads in them (SessionInStep reads
// the session once after each sign-in and sign-out).
//
// Medians of three rounds; --quick has one, with short waits. A step that did not do what it should ends it all: exit code 1.

import { parseArgs } from "node:util";

import { chromium } from "../../../tests/e2e/node_modules/playwright-core/index.mjs";
import { build, copies, privateKey, reservedPort, startProvider } from "./lib/apps.mjs";
import { FLOWS } from "./lib/flows.mjs";
import { Subject } from "./lib/subject.mjs";

const SUBJECTS = [
  { name: "guide", kind: "guide", title: "guide's way", env: { SESSION_READS: "each" } },
  { name: "guide-cache", kind: "guide", title: "guide's way, `auth()` in `cache()`", env: { SESSION_READS: "once" } },
  { name: "proxy", kind: "proxy", title: "through the proxy", env: {} },
];
const ROUNDS = 3;

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});

async function main() {
  const { isQuick, isJson, chosen } = argumentsOf(process.argv.slice(2));
  say("copies of the app");
  const key = await privateKey();
  const folders = await copies(chosen);
  const subjects = [];
  for (const what of chosen) {
    const subject = new Subject(what, folders[what.name], await reservedPort(), key);
    subjects.push(subject);
    say(`build: ${what.name}`);
    await subject.deployment.start();
    await build(subject.folder, subject.convexUrl);
  }
  const provider = await startProvider(subjects[0].folder, subjects.map(({ app }) => app.origin));
  const rounds = [];
  for (let number = 1; number <= (isQuick ? 1 : ROUNDS); number += 1) {
    say(`round ${number}`);
    rounds.push(await oneRound(subjects, provider, { isQuick, tag: `round${number}` }));
  }
  for (const subject of subjects) await subject.stop();
  const rows = rowsOf(rounds, subjects);
  console.log(isJson ? JSON.stringify({ isQuick, rows, rounds }, null, 1) : table(rows, subjects));
  process.exit(0);
}

/** The subjects side by side: most of a round is waiting. */
async function oneRound(subjects, provider, options) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", chromiumSandbox: false, args: ["--disable-gpu"] });
  try {
    const results = await Promise.all(subjects.map((subject) => subject.measure(browser, provider, options)));
    return Object.fromEntries(subjects.map(({ name }, index) => [name, results[index]]));
  } finally {
    await browser.close();
  }
}

/** By flow and subject, the medians. */
function rowsOf(rounds, subjects) {
  return FLOWS.flatMap(({ name, title }) => {
    if (rounds[0][subjects[0].name][name] === undefined) return [];
    const of = (subject, figure) => rounds.map((round) => round[subject.name][name][figure]);
    const values = subjects.map((subject) => {
      const adapterCalls = of(subject, "adapterCalls");
      return [
        subject.name,
        {
          adapterCalls: median(adapterCalls),
          range: [Math.min(...adapterCalls), Math.max(...adapterCalls)],
          tokensSigned: median(of(subject, "tokensSigned")),
          otherCalls: median(of(subject, "otherCalls")),
          adapterRequests: median(of(subject, "adapterRequests")),
        },
      ];
    });
    return [{ flow: name, title, subjects: Object.fromEntries(values) }];
  });
}

function table(rows, subjects) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const body = rows.map(({ title, subjects: values }) => line([title, ...subjects.map(({ name }) => cell(values[name]))]));
  return [line(["calls of the adapter's functions (tokens signed)", ...subjects.map(({ title }) => title)]), line(["---", ...subjects.map(() => "---:")]), ...body].join("\n");
}

function cell({ adapterCalls, range: [least, most], tokensSigned }) {
  const spread = least === most ? "" : ` [${least} to ${most}]`;
  return `${adapterCalls}${spread}${tokensSigned === 0 ? "" : ` (${tokensSigned})`}`;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function argumentsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: { quick: { type: "boolean" }, json: { type: "boolean" }, only: { type: "string" } },
    });
    const only = values.only?.split(",");
    const unknown = (only ?? []).filter((name) => SUBJECTS.every((subject) => subject.name !== name));
    if (unknown.length > 0) throw new Error(`no subject is called ${unknown}; there are ${SUBJECTS.map(({ name }) => name).join(", ")}`);
    const chosen = SUBJECTS.filter(({ name }) => only === undefined || only.includes(name));
    return { isQuick: values.quick ?? false, isJson: values.json ?? false, chosen };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function say(what) {
  console.error(`calls: ${what}`);
}
