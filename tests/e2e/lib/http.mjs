// HTTP as it is written: every header is the caller's, and a socket can be a file.

import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";

/** A request by `node:http`: `{ status, headers, text, json }`. A `body` that is no text is sent as JSON. */
export function send(url, { method, headers = {}, body, socketPath } = {}) {
  const isJson = body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body);
  const bytes = isJson ? JSON.stringify(body) : body;
  const options = {
    method: method ?? (body === undefined ? "GET" : "POST"),
    agent: false,
    headers: {
      ...(isJson ? { "content-type": "application/json" } : {}),
      ...(bytes === undefined ? {} : { "content-length": Buffer.byteLength(bytes) }),
      ...headers,
    },
    ...(socketPath ? { socketPath } : {}),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options, (incoming) => {
      const chunks = [];
      incoming.on("data", (chunk) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => resolve(answer(incoming.statusCode, incoming.headers, Buffer.concat(chunks).toString())));
    });
    outgoing.on("error", reject);
    outgoing.end(bytes);
  });
}

/** Bytes on a socket, to the end of the answer: `{ status, text, json }`. For what no client would write. */
export async function sendRaw(port, head, body = "") {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  const received = await exchange(port, [...head, length, "Connection: close", "", body].join("\r\n"));
  const [answerHead, ...rest] = received.split("\r\n\r\n");
  return answer(Number(answerHead.split(" ")[1]), {}, rest.join("\r\n\r\n"));
}

/** Writes `text` on a new connection and gives what comes back until `isEnough(received)`, or until the other side closes. */
export function exchange(port, text, isEnough = () => false, withinMs = 5_000) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    const deadline = setTimeout(() => socket.destroy(), withinMs);
    let received = "";
    socket.setEncoding("utf8").on("data", (more) => {
      received += more;
      if (isEnough(received)) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve(received);
    });
  });
}

/** A call of one function, as the clients write it. */
export function call(url, lane, path, args = {}, headers = {}) {
  return send(`${url}/api/${lane}`, { body: { path, args: [args], format: "json" }, headers });
}

/** The value of a call that must succeed. */
export async function valueOf(url, lane, path, args = {}, headers = {}) {
  const answered = await call(url, lane, path, args, headers);
  assert.equal(answered.status, 200, answered.text);
  assert.equal(answered.json.status, "success", answered.text);
  return answered.json.value;
}

/** Asserts a refusal of the proxy's own: the status, `{"code","message"}` as JSON, and nothing else in it. */
export function assertRefused(answered, status, code) {
  assert.equal(answered.json?.code, code, `${answered.status} ${answered.text}`);
  assert.equal(answered.status, status);
  assert.deepEqual(Object.keys(answered.json), ["code", "message"]);
  assert.ok(answered.json.message.length > 10);
}

/** What the published client makes of a refusal: its error's message, which is the answer's body, read as JSON. */
export async function refusalOf(promise) {
  const error = await promise.then((value) => assert.fail(`it was answered: ${JSON.stringify(value)}`), (error) => error);
  try {
    return JSON.parse(error.message);
  } catch {
    throw error;
  }
}

/** Counters by `name{labels}` as Prometheus's text has them; those that are not there count 0. */
export async function metricsOf(url) {
  const { text, status } = await send(url);
  assert.equal(status, 200);
  const counted = new Map();
  for (const line of text.split("\n")) {
    const end = line.lastIndexOf(" ");
    if (line && !line.startsWith("#")) counted.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return (name) => counted.get(name) ?? 0;
}

function answer(status, headers, text) {
  return {
    status,
    headers,
    text,
    get json() {
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    },
  };
}
