// Deployments that are not one: they record, stall, or talk nonsense.

import { once } from "node:events";
import { createServer } from "node:http";

/** Answers every call with the value null and keeps what it saw in `requests`: `{ method, target, headers, body }`. */
export function recordingUpstream() {
  return upstream((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(request.target === "/version" ? "\"test\"" : JSON.stringify({ status: "success", value: null, logLines: [] }));
  });
}

/** Takes requests and keeps each answer until `release()`. `abandoned` holds the targets whose callers went away. */
export async function stallingUpstream() {
  const waiting = [];
  const abandoned = [];
  const made = await upstream(({ target }, response) => {
    waiting.push(response);
    response.on("close", () => response.writableFinished || abandoned.push(target));
  });
  const release = () => {
    for (const response of waiting.splice(0)) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ status: "success", value: "late", logLines: [] }));
    }
  };
  return Object.assign(made, { waiting, abandoned, release });
}

/** Answers every call with the same status and text. */
export function babblingUpstream(status, contentType, text) {
  return upstream((_, response) => {
    response.writeHead(status, { "content-type": contentType });
    response.end(text);
  });
}

async function upstream(respond) {
  const requests = [];
  const server = createServer((incoming, response) => {
    const chunks = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method, url: target, headers, rawHeaders } = incoming;
      const seen = { method, target, headers, rawHeaders, body: Buffer.concat(chunks).toString() };
      if (target !== "/version") requests.push(seen);
      respond(seen, response);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close };
}
