// A process of its own: the app's server of one subject. It reads sessions one after the other or many at once, for a given time, and says
// how long each took and what CPU this process used. That is all it does: requests of browsers, pages and their rendering are not in it.

import { answerParent } from "./processes.mjs";
import { SESSION_COOKIE, SUBJECTS } from "./subjects.mjs";

/** No slice makes more calls, whatever the time. */
const CALLS_AT_MOST = 100_000;

let read;
let sessions;

answerParent({
  /** @param {{ subject: string, settings: object, sessions: { sessionToken: string, userId: string }[] }} about */
  prepare(about) {
    read = SUBJECTS.find(({ name }) => name === about.subject).make(about.settings);
    sessions = about.sessions;
  },

  /** The session and the token of one cookie. */
  read: ({ sessionToken }) => read(`${SESSION_COOKIE}=${sessionToken}`),

  slice,
});

/**
 * Reads the first `count` sessions in turn, `concurrency` at once, until the time is up or all `calls` are made.
 *
 * Each answer has to be the right user's and to have a token; the last is handed back, so that its token can be verified.
 */
async function slice({ count, concurrency, forMs = Infinity, calls = CALLS_AT_MOST }) {
  const latencies = [];
  let asked = 0;
  let last;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + forMs;
  const ask = async () => {
    for (let now = startedAt; now < until && asked < calls; ) {
      const index = asked++ % count;
      const { sessionToken, userId } = sessions[index];
      const askedAt = performance.now();
      const answer = await read(`${SESSION_COOKIE}=${sessionToken}`);
      now = performance.now();
      latencies.push(now - askedAt);
      if (answer.session?.user?.id !== userId || typeof answer.token !== "string") {
        throw new Error(`session ${index} was answered with ${JSON.stringify(answer)}`);
      }
      last = { index, answer };
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  latencies.sort((a, b) => a - b);
  return {
    calls: latencies.length,
    callsPerSecond: latencies.length / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    nodeCpuMs: (user + system) / 1_000 / latencies.length,
    last,
  };
}

/** The least value that so large a part of all does not exceed. */
function percentile(sorted, part) {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}
