// The sync protocol by hand: for what no published client would say, and for upgrades that are refused.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request } from "node:http";

import { waitFor } from "./proxy.mjs";
import { tap } from "./tap.mjs";

/** The version in the path of a client that takes chunks. */
export const NEWEST_VERSION = "1.48.0";

/** Where the sync socket of `url` is. Without a version as the clients in Rust have it. */
export function syncUrl(url, version = NEWEST_VERSION) {
  return `${url.replace(/^http/, "ws")}/api/${version ? `${version}/` : ""}sync`;
}

/** An open socket, ended after the test `t`. */
export async function openRaw(t, url, { headers, version } = {}) {
  const raw = new Raw(new (tap(headers).WebSocket)(syncUrl(url, version)));
  t.after(() => raw.socket.terminate());
  await waitFor("the socket opens", () => raw.socket.readyState !== 0);
  assert.equal(raw.socket.failure, undefined);
  return raw;
}

/** The same after its first word. */
export async function openConnected(t, url, options) {
  const raw = await openRaw(t, url, options);
  raw.connect();
  return raw;
}

class Raw {
  #querySet = 0;
  #identity = 0;
  #queryId = 0;
  #requestId = 0;
  #read = 0;

  constructor(socket) {
    this.socket = socket;
  }

  /** Sends a message, or text as it is. */
  send(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  connect(more = {}) {
    this.send({ type: "Connect", sessionId: randomUUID(), connectionCount: 0, lastCloseReason: "InitialConnect", clientTs: 0, ...more });
  }

  /** Changes the query set by one version. */
  modify(modifications) {
    this.#querySet += 1;
    this.send({ type: "ModifyQuerySet", baseVersion: this.#querySet - 1, newVersion: this.#querySet, modifications });
  }

  /** Adds one query and gives its id. */
  add(udfPath, args = {}, more = {}) {
    const queryId = this.#queryId++;
    this.modify([{ type: "Add", queryId, udfPath, args: [args], ...more }]);
    return queryId;
  }

  /** Says who one is; without a token, nobody. */
  authenticate(token, more = {}) {
    const credential = token === undefined ? { tokenType: "None" } : { tokenType: "User", value: token };
    this.send({ type: "Authenticate", baseVersion: this.#identity++, ...credential, ...more });
  }

  /** Calls a function and gives the answer; `type` is `Mutation` or `Action`. */
  async call(type, udfPath, args = {}, more = {}) {
    const requestId = this.#requestId++;
    this.send({ type, requestId, udfPath, args: [args], ...more });
    const isAnswer = ({ message }) => message.type === `${type}Response` && message.requestId === requestId;
    let found;
    await waitFor(`the answer of ${udfPath}`, () => {
      found = this.socket.received.find(isAnswer);
      this.#mustLive(found, udfPath);
      return found;
    });
    return { at: found.at, ...found.message };
  }

  /** The first message that fits and was not read so far; those before it count as read. */
  async next(what, fits, withinMs = undefined) {
    let found;
    await waitFor(
      what,
      () => {
        const { received } = this.socket;
        while (found === undefined && this.#read < received.length) {
          const { at, wall, message } = received[this.#read++];
          if (fits(message)) found = { at, wall, ...message };
        }
        this.#mustLive(found, what);
        return found;
      },
      withinMs,
    );
    return found;
  }

  /** Asserts that it still serves: a query, a mutation and an action, with no break in the versions so far. */
  async assertLives() {
    assert.equal((await this.result(this.add("demo:whoami"))).type, "QueryUpdated");
    assert.equal((await this.call("Mutation", "demo:send", { body: "still here" })).success, true);
    assert.equal((await this.call("Action", "demo:ping")).result, "pong");
    assert.equal(this.socket.end, undefined);
    assert.deepEqual(this.socket.gaps, []);
    assert.equal(this.socket.of("FatalError").length, 0);
  }

  #mustLive(found, what) {
    assert.ok(found || !this.socket.end, `${what}: the socket was closed, ${JSON.stringify(this.socket.end)}`);
  }

  /** The next transition. */
  transition(fits = () => true, withinMs = undefined) {
    return this.next("a transition", (message) => message.type === "Transition" && fits(message), withinMs);
  }

  /** What the next word about a query says: its modification. `at` and `wall` are when it came. */
  async result(queryId, withinMs = undefined) {
    const of = ({ modifications }) => modifications.find((modification) => modification.queryId === queryId);
    const found = await this.transition(of, withinMs);
    return { ...of(found), at: found.at, wall: found.wall };
  }

  /** How the socket was closed: `{ code, reason }`. */
  async closed(withinMs = undefined) {
    await waitFor("the socket is closed", () => this.socket.end, withinMs);
    return this.socket.end;
  }
}

/** An upgrade as HTTP: `{ status, headers, text, json }`; 101 where it succeeds, and then it is hung up. */
export function upgrade(url, { headers = {}, version, method = "GET", search = "" } = {}) {
  const target = syncUrl(url, version).replace(/^ws/, "http") + search;
  const asked = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const kept = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const outgoing = request(target, { method, headers: kept, agent: false });
    outgoing.on("error", reject);
    outgoing.on("upgrade", ({ statusCode, headers }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, headers, text: "", json: undefined });
    });
    outgoing.on("response", (incoming) => {
      const chunks = [];
      incoming.on("data", (chunk) => chunks.push(chunk));
      incoming.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = text !== "" && incoming.headers["content-type"]?.includes("json");
        resolve({ status: incoming.statusCode, headers: incoming.headers, text, json: isJson ? JSON.parse(text) : undefined });
      });
    });
    outgoing.end();
  });
}
