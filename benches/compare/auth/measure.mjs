// What `auth()` with a Convex token costs a Node server: as Convex's guide sets it up, and through the proxy.
//
// Four subjects, each in a Node process of its own (lib/worker.mjs), in front of one deployment that answers after 5 ms (lib/deployment.mjs):
//
//     guide           Auth.js with database sessions and the guide's adapter, which calls the deployment with Convex's client; the session
//                     callback imports the private key (RS256, 2048 bits) and signs a token, at each read
//     guide-key-once  the same, but the key is imported once
//     proxy           Auth.js with this project's package: the adapter, and `convexToken` after it, two calls of the proxy's adapter
//                     listener, over TCP. THE REFERENCE of all ratios
//     proxy-unix      the same over a unix socket
//
// One call is what next-auth's `auth()` does in a server component: a request for the session route given to Auth.js, and its answer read.
// There is no Next.js and no browser: what a page costs besides is not in it. Sessions are neither old nor over, so none is written to.
//
// They are asked for one at a time and 16 at once; one session again and again, and 200 in turn. A slice lasts as long as the proxy keeps
// a session (`cache.ttl`, at its default of 2 s), and a subject's next slice begins later than that: each begins with nothing of a session
// kept, and has as many calls of the deployment as any other two seconds of the same load (--quick's are shorter, and have not). Tokens
// are kept for most of their hour by the proxy: all are signed before the first slice, when the subjects are warmed up, and none in a
// slice. The subjects take turns, each round in another order; told are medians over the rounds, and ratios are medians of each round's
// ratio: a row's figure by that of `proxy`.
//
// Node's CPU is what the subject's process used, all threads, user and system (process.cpuUsage): signing runs on other threads than
// JavaScript. The proxy's is what its threads ran (/proc/PID/task/*/schedstat). The deployment's counts nowhere, but all share the
// machine, and waking an idle processor is part of what a call costs when there is one at a time. Both ways reach their peer by plain HTTP
// on loopback; a deployment that is reached by TLS and further away costs who calls it more.
//
// Before a subject is timed it has to prove its answers (lib/proof.mjs): the right user, a token that the key's public half verifies, and
// nothing for a forged cookie. In a slice each answer has to be the right user's, the last one's token is verified again, and the deployment
// must have been asked for nothing else. What fails ends it all: exit code 1.

import { parseArgs } from "node:util";

import { msBetween, pause, startScript } from "./lib/processes.mjs";
import { checkAnswer, prove } from "./lib/proof.mjs";
import { CACHE_TTL_MS, makeKeys, startProxy } from "./lib/proxy.mjs";
import { SUBJECTS } from "./lib/subjects.mjs";
import { machine, rowsOf, table } from "./lib/table.mjs";

const SESSIONS = 200;
const ANSWER_AFTER_MS = 5;
const ROUNDS = 3;
const SECRET = "a secret that only this measurement knows";
const SESSION_LIVES_MS = 30 * 24 * 60 * 60 * 1_000;
/** For a slice, beyond its own time. */
const GRACE_MS = 20_000;

const SCENARIOS = [1, SESSIONS].flatMap((sessions) =>
  [1, 16].map((concurrency) => ({
    name: `${sessions}-${concurrency}`,
    title: `${sessions === 1 ? "one session" : `${sessions} sessions in turn`}, ${concurrency === 1 ? "one at a time" : `${concurrency} at once`}`,
    sessions,
    concurrency,
  })),
);

const NOTES = [
  "For one auth() with a token: CPU of the app's process, CPU of the proxy, calls that the deployment got. It answers after 5 ms.",
  "The columns from `/proxy` on: this row's figure by that of `through the proxy`; `all CPU` is Node's and the proxy's together.",
  "The proxy keeps a session for 2 s (cache.ttl, its default) and a token for most of its hour.",
];

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

async function main() {
  const { quick, json } = argumentsOf(process.argv.slice(2));
  const sessions = makeSessions();
  const keys = makeKeys();
  const deployment = startScript("deployment.mjs");
  const { port } = await deployment.ask("listen", { secret: SECRET, answerAfterMs: ANSWER_AFTER_MS, sessions });
  const deploymentUrl = `http://127.0.0.1:${port}`;
  const rig = { deployment, deploymentUrl, keys, expected: sessions.map(expectedOf), facts: { jwks: keys.jwks, issuer: deploymentUrl } };

  const subjects = [];
  for (const what of SUBJECTS) {
    say(`start and proof: ${what.name}`);
    subjects.push(await startSubject(what, rig));
  }
  for (const { name, worker } of subjects) {
    say(`warm-up: ${name}`);
    const calls = quick ? SESSIONS : 4 * SESSIONS;
    for (const concurrency of [16, 1]) await worker.ask("slice", { count: SESSIONS, concurrency, calls: concurrency === 1 ? calls / 4 : calls });
  }
  await pause(CACHE_TTL_MS);
  const rounds = [];
  for (let number = 0; number < ROUNDS; number += 1) {
    say(`round ${number + 1} of ${ROUNDS}`);
    rounds.push(await oneRound(rotated(subjects, number), rig, quick ? CACHE_TTL_MS / 16 : CACHE_TTL_MS));
  }
  const report = { machine: machine(), quick, rows: rowsOf(rounds, SCENARIOS, SUBJECTS), rounds };
  console.log(json ? JSON.stringify(report, null, 1) : table(report, SCENARIOS, SUBJECTS, NOTES));
}

/** The subject, with all it needs started, once it has proved its answers. */
async function startSubject({ name, proxy: kind }, { deploymentUrl, keys, expected, facts }) {
  const proxy = kind && (await startProxy({ isUnix: kind === "unix", deploymentUrl, secret: SECRET, keys }));
  // Each is given what its way needs: behind the proxy an app has neither the secret nor the key.
  const settings = proxy ? { proxyOptions: proxy.options } : { deploymentUrl, secret: SECRET, privateKey: keys.privateKey, issuer: facts.issuer };
  const worker = startScript("worker.mjs");
  await worker.ask("prepare", { subject: name, settings, sessions: expected });
  await prove(worker, expected, facts).catch((error) => {
    throw worker.failure(`${name} does not prove its answers: ${error.message}`);
  });
  return { name, worker, proxy: proxy?.running };
}

async function oneRound(subjects, rig, forMs) {
  const round = {};
  for (const { name, sessions, concurrency } of SCENARIOS) {
    round[name] = {};
    for (const subject of subjects) {
      round[name][subject.name] = await oneSlice(subject, rig, { count: sessions, concurrency, forMs });
    }
  }
  return round;
}

async function oneSlice({ name, worker, proxy }, { deployment, expected, facts }, load) {
  const before = await deployment.ask("counts");
  const threadsBefore = proxy?.threadTimes();
  const { last, ...slice } = await worker.ask("slice", load, load.forMs + GRACE_MS);
  const proxyMs = proxy === undefined ? 0 : msBetween(threadsBefore, proxy.threadTimes());
  const after = await deployment.ask("counts");
  await checkAnswer(last.answer, expected[last.index], facts).catch((error) => {
    throw worker.failure(`${name} does not answer rightly under load: ${error.message}`);
  });
  const isOdd = after.others.length > 0 || after.refused > 0 || after.unknownSessions !== before.unknownSessions;
  if (isOdd) throw new Error(`${name} asked the deployment for something else: ${JSON.stringify(after)}`);
  return { ...slice, proxyCpuMs: proxyMs / slice.calls, deploymentCalls: (after.calls - before.calls) / slice.calls };
}

/** Rows as the deployment has them: each session is another user's. */
function makeSessions() {
  const now = Date.now();
  return Array.from({ length: SESSIONS }, (_, index) => {
    const number = String(index).padStart(4, "0");
    const userId = `k57d0s8xq3v2n9m4c6b1z7a5w0${number}us`;
    const who = { name: `Person ${index}`, email: `person${index}@example.com`, emailVerified: now };
    const session = { sessionToken: crypto.randomUUID(), userId, expires: now + SESSION_LIVES_MS };
    return {
      session: { _id: `jd71f6r2h8p4t0y5g3e9q1u7i6${number}se`, _creationTime: now, ...session },
      user: { _id: userId, _creationTime: now, ...who },
    };
  });
}

function expectedOf({ session: { sessionToken, expires }, user: { _id: userId, email } }) {
  return { sessionToken, expires, userId, email };
}

function rotated(items, by) {
  return [...items.slice(by % items.length), ...items.slice(0, by % items.length)];
}

function argumentsOf(args) {
  try {
    const { quick = false, json = false } = parseArgs({ args, options: { quick: { type: "boolean" }, json: { type: "boolean" } } }).values;
    return { quick, json };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function say(what) {
  console.error(`auth: ${what}`);
}
