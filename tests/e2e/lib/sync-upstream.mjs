// A deployment that speaks the sync protocol and does what a test tells it: it records what reaches it, refuses tokens, sends chunks,
// falls silent, closes with a code. It holds its clients to the protocol's rules as Convex does.

import { once } from "node:events";
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

/** The length of a chunk's text. */
const CHUNK_CHARACTERS = 100_000;

/**
 * Listening on a free port of loopback. `sessions` maps a session token to its user's id; `sockets` are those that were opened, each
 * with `target`, `headers`, `messages`, `texts`, `send(message)` and `close(code, reason)`. `refuses(token)` says which tokens it takes
 * for no good. `isChunked`: transitions go in chunks. `isBroken`: every call over HTTP fails. `onMessage(message, socket)` may take a
 * message away by returning true. `server` is a server of one's own, not yet listening.
 */
export async function scriptedDeployment({
  refuses = () => false,
  isChunked = false,
  onMessage = () => false,
  server = createServer(),
} = {}) {
  const deployment = {
    clock: 0n,
    isBroken: false,
    sessions: new Map(),
    messages: [],
    sockets: [],
    requests: [],
    refuses,
    isChunked,
    onMessage,
  };
  server.on("request", (incoming, response) => {
    const chunks = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => answer(deployment, incoming, Buffer.concat(chunks).toString(), response));
  });
  const webSockets = new WebSocketServer({ server, maxPayload: 256 * 1024 * 1024 });
  webSockets.on("connection", (webSocket, request) => new Connection(deployment, webSocket, request));
  await once(server.listen(0, "127.0.0.1"), "listening");
  deployment.url = `http://127.0.0.1:${server.address().port}`;
  deployment.close = () => {
    deployment.sockets.forEach(({ webSocket }) => webSocket.terminate());
    server.closeAllConnections?.();
    server.close();
  };
  return deployment;
}

/** The functions: `(arguments, { deployment, identity })`. */
const FUNCTIONS = {
  "demo:whoami": (_, { identity }) => identity,
  "demo:list": (_, { deployment }) => deployment.messages.slice(-100),
  "demo:repeat": ({ text, times }) => text.repeat(times),
  "demo:ping": () => "pong",
  "demo:send": ({ body }, { deployment, identity }) => {
    deployment.messages.push({ author: identity?.subject ?? "anonymous", body });
    return `messages|${deployment.messages.length}`;
  },
  "authAdapter:getSessionAndUser": ({ sessionToken }, { deployment }) => sessionAndUser(deployment, sessionToken),
  "authAdapter:deleteSession": ({ sessionToken }, { deployment }) => {
    const found = sessionAndUser(deployment, sessionToken)?.session ?? null;
    deployment.sessions.delete(sessionToken);
    return found;
  },
};

function sessionAndUser({ sessions }, sessionToken) {
  if (!sessions.has(sessionToken)) return null;
  const row = (id, fields) => ({ _id: id, _creationTime: 1_700_000_000_000, ...fields });
  const userId = sessions.get(sessionToken);
  return {
    session: row("sessions|1", { sessionToken, userId, expires: Date.now() + 60 * 60 * 1_000 }),
    user: row(userId, { email: "ada@example.com" }),
  };
}

function run(name, args, context) {
  const found = FUNCTIONS[name.replace(/\.js:/, ":")];
  if (!found) throw new Error(`Could not find public function for '${name}'`);
  return found(args, context);
}

/** Calls over HTTP, as the proxy makes them to read a session. */
function answer(deployment, { url: target, headers }, body, response) {
  response.setHeader("content-type", "application/json");
  if (target === "/version") return response.end('"scripted"');
  deployment.requests.push({ target, headers, body });
  if (deployment.isBroken) return response.writeHead(500).end('{"code":"InternalServerError","message":"broken"}');
  try {
    const { path, args } = JSON.parse(body);
    const value = run(path, Array.isArray(args) ? args[0] : args, { deployment, identity: null });
    response.end(JSON.stringify({ status: "success", value, logLines: [] }));
  } catch (error) {
    response.end(JSON.stringify({ status: "error", errorMessage: error.message, logLines: [] }));
  }
}

class Connection {
  messages = [];
  texts = [];
  identity = null;
  #received = { querySet: 0, identity: 0 };
  #sent = { querySet: 0, identity: 0, ts: timestamp(0n) };
  #queries = new Map();

  constructor(deployment, webSocket, { url, headers }) {
    Object.assign(this, { deployment, webSocket, target: url, headers });
    deployment.sockets.push(this);
    webSocket.on("close", (code, reason) => (this.end = { code, reason: reason.toString() }));
    webSocket.on("error", () => {});
    webSocket.on("message", (data, isBinary) => {
      if (isBinary) return this.close(1011, "InternalServerError");
      const text = data.toString();
      const message = JSON.parse(text);
      this.texts.push(text);
      this.messages.push(message);
      if (!deployment.onMessage(message, this)) this.#take(message);
    });
  }

  send(message) {
    this.webSocket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  close(code, reason) {
    this.webSocket.close(code, reason);
  }

  /** The messages of one type that came so far. */
  of(type) {
    return this.messages.filter((message) => message.type === type);
  }

  /** Runs all queries anew and tells what changed, besides `modifications`, and the versions that were received. */
  recompute(modifications = []) {
    for (const [queryId, query] of this.#queries) {
      const modification = this.#execute(queryId, query);
      const text = JSON.stringify(modification);
      if (query.last !== text) modifications.push(modification);
      query.last = text;
    }
    this.transition(JSON.stringify(modifications));
  }

  /** Sends a transition to the versions that were received; `modifications` are JSON text. */
  transition(modifications) {
    this.deployment.clock += 1n;
    const endVersion = { ...this.#received, ts: timestamp(this.deployment.clock) };
    const versions = `"startVersion":${JSON.stringify(this.#sent)},"endVersion":${JSON.stringify(endVersion)}`;
    const text = `{"type":"Transition",${versions},"modifications":${modifications},"clientClockSkew":0,"serverTs":${Date.now()}000000}`;
    this.#sent = endVersion;
    if (!this.deployment.isChunked) return this.send(text);
    const totalParts = Math.ceil(text.length / CHUNK_CHARACTERS);
    for (let partNumber = 0; partNumber < totalParts; partNumber += 1) {
      const chunk = text.slice(partNumber * CHUNK_CHARACTERS, (partNumber + 1) * CHUNK_CHARACTERS);
      this.send({ type: "TransitionChunk", chunk, partNumber, totalParts, transitionId: `${this.deployment.clock}` });
    }
  }

  #take(message) {
    switch (message.type) {
      case "Connect":
      case "Event":
        return undefined;
      case "Authenticate":
        return this.#authenticate(message);
      case "ModifyQuerySet":
        return this.#modify(message);
      case "Mutation":
      case "Action":
        return this.#call(message);
      default:
        return this.#fail(`unknown type ${message.type}`);
    }
  }

  #authenticate({ baseVersion, tokenType, value }) {
    if (baseVersion !== this.#received.identity) return this.close(1011, "InternalServerError");
    if (tokenType === "User" && this.deployment.refuses(value)) {
      this.send({
        type: "AuthError",
        error: "No auth provider found matching the given token",
        baseVersion: this.#sent.identity,
        authUpdateAttempted: true,
      });
      return this.close();
    }
    this.#received.identity += 1;
    this.identity = tokenType === "User" ? identityOf(value) : null;
    return this.recompute();
  }

  #modify({ baseVersion, newVersion, modifications }) {
    if (baseVersion !== this.#received.querySet) return this.#fail("BaseVersionMismatch");
    if (newVersion <= baseVersion) return this.close(1011, "InternalServerError");
    for (const { type, queryId, ...query } of modifications) {
      const isKnown = this.#queries.has(queryId);
      if (isKnown === (type === "Add")) return this.close(1011, "InternalServerError");
      if (type === "Add") this.#queries.set(queryId, query);
      else this.#queries.delete(queryId);
    }
    this.#received.querySet = newVersion;
    const removed = modifications.filter(({ type }) => type === "Remove").map(({ queryId }) => ({ type: "QueryRemoved", queryId }));
    return this.recompute(removed);
  }

  #call({ type, requestId, udfPath, args }) {
    const answered = { type: `${type}Response`, requestId, logLines: [] };
    try {
      const result = run(udfPath, args[0], this);
      this.deployment.clock += 1n;
      this.send({ ...answered, success: true, result, ...(type === "Mutation" ? { ts: timestamp(this.deployment.clock) } : {}) });
    } catch (error) {
      this.send({ ...answered, success: false, result: error.message, ...(type === "Mutation" ? { ts: null } : {}) });
    }
    if (type === "Mutation") this.deployment.sockets.filter(({ end }) => !end).forEach((socket) => socket.recompute());
  }

  #execute(queryId, { udfPath, args }) {
    const common = { queryId, logLines: [], journal: null };
    try {
      return { type: "QueryUpdated", ...common, value: run(udfPath, args?.[0] ?? {}, this) };
    } catch (error) {
      return { type: "QueryFailed", ...common, errorMessage: error.message };
    }
  }

  #fail(error) {
    this.send({ type: "FatalError", error });
    this.close();
  }
}

/** What a token says, unverified. */
function identityOf(token) {
  const { iss, sub } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  return { tokenIdentifier: `${iss}|${sub}`, issuer: iss, subject: sub };
}

/** A timestamp as the protocol has it. */
function timestamp(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.toString("base64");
}
