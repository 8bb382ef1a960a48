// A process of its own: what stands in the place of the Convex deployment. It knows one function, `authAdapter:getSessionAndUser`, answers
// it in Convex's wire format after a given time, and counts. Everything else that is asked of it, but for `GET /version`, is noted: a
// measurement in which something else was called is none.

import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

import { answerParent } from "./processes.mjs";

const FUNCTION = "authAdapter:getSessionAndUser";
const BODY_BYTES = 65_536;
/** No connection is closed for being idle while a subject waits for its turn: each would begin its slice by making new ones. */
const KEEP_ALIVE_MS = 120_000;

let settings;
const rows = new Map();
const counts = { calls: 0, unknownSessions: 0, refused: 0, others: [] };

answerParent({
  /** Listens: `{ port }`. */
  async listen({ secret, answerAfterMs, sessions }) {
    settings = { secret: Buffer.from(secret), answerAfterMs };
    for (const one of sessions) rows.set(one.session.sessionToken, one);
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      serve(request, response).catch((error) => {
        counts.others.push(`${request.method} ${request.url}: ${error.message}`);
        answer(response, 400, { code: "BadJsonBody", message: error.message });
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return { port: server.address().port };
  },

  /** What was asked since the start. */
  counts: () => counts,
});

async function serve(request, response) {
  if (request.method === "GET" && request.url === "/version") {
    response.end("measurement");
    return;
  }
  const body = await bodyOf(request);
  if (request.method !== "POST" || request.url !== "/api/query") {
    counts.others.push(`${request.method} ${request.url}`);
    answer(response, 404, { code: "NotFound", message: "not part of this measurement" });
    return;
  }
  const { path, args } = JSON.parse(body);
  if (path !== FUNCTION) {
    counts.others.push(`${request.url} ${path}`);
    answer(response, 200, { status: "error", errorMessage: `Could not find public function for '${path}'`, logLines: [] });
    return;
  }
  counts.calls += 1;
  await pause(settings.answerAfterMs);
  // Convex takes both: named arguments, and a list that has them as its one item, as its clients send them.
  answer(response, 200, getSessionAndUser(Array.isArray(args) ? args[0] : args));
}

/** As the guide's function does it: a wrong secret is an error of the function, a session that is not there is null. */
function getSessionAndUser({ secret, sessionToken }) {
  if (!isRight(secret)) {
    counts.refused += 1;
    return { status: "error", errorMessage: "Uncaught Error: the secret is wrong", logLines: [] };
  }
  const found = rows.get(sessionToken) ?? null;
  if (found === null) counts.unknownSessions += 1;
  return { status: "success", value: found, logLines: [] };
}

function isRight(secret) {
  const given = Buffer.from(String(secret));
  return given.length === settings.secret.length && timingSafeEqual(given, settings.secret);
}

async function bodyOf(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) {
    text += piece;
    if (text.length > BODY_BYTES) throw new Error("the body is too large");
  }
  return text;
}

function answer(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
