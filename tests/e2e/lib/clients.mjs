// The published clients that keep a sync socket, the newest and the oldest that Convex still serves, behind one face.

import assert from "node:assert/strict";

import { BaseConvexClient as OldestClient } from "convex-oldest/browser";
import { ConvexReactClient as OldestReactClient } from "convex-oldest/react";
import { makeFunctionReference as oldestReference } from "convex-oldest/server";
import { ConvexClient } from "convex/browser";
import { ConvexReactClient } from "convex/react";

import { waitFor } from "./proxy.mjs";
import { tap } from "./tap.mjs";

/** How long a client may take to close its socket in order. */
const CLOSED_WITHIN_MS = 5_000;

/** How long a call may take. */
const ANSWERED_WITHIN_MS = 15_000;

const NEWEST = { logger: false };

/** Makers of `{ client, watch, mutation, action, clearAuth }` by what they are called; `watch` gives `{ read, stop }`. */
const MAKERS = {
  ConvexClient: (url, options, noteUpdate) => {
    const client = new ConvexClient(url, { ...NEWEST, ...options });
    const watch = (name, args) => {
      const watched = client.onUpdate(name, args, noteUpdate, noteUpdate);
      return { read: watched.getCurrentValue, stop: watched };
    };
    return { client, watch, reference: (name) => name, clearAuth: () => client.client.clearAuth() };
  },
  ConvexReactClient: (url, options, noteUpdate) => {
    const client = new ConvexReactClient(url, { ...NEWEST, ...options });
    return {
      client,
      watch: watchByReact(client, (name) => name, noteUpdate),
      reference: (name) => name,
      clearAuth: () => client.clearAuth(),
    };
  },
  "the oldest BaseConvexClient": (url, options, noteUpdate) => {
    const client = new OldestClient(url, noteUpdate, options);
    const watch = (name, args) => {
      const { unsubscribe } = client.subscribe(name, args);
      return { read: () => client.localQueryResult(name, args), stop: unsubscribe };
    };
    return { client, watch, reference: (name) => name, clearAuth: () => client.clearAuth() };
  },
  "the oldest ConvexReactClient": (url, options, noteUpdate) => {
    const client = new OldestReactClient(url, options);
    return {
      client,
      watch: watchByReact(client, oldestReference, noteUpdate),
      reference: oldestReference,
      clearAuth: () => client.clearAuth(),
    };
  },
};

/** What the clients are called. */
export const CLIENTS = Object.keys(MAKERS);

/**
 * A client of that name on `url`, closed after the test `t`, which then fails when its socket did not close in order or ever broke the
 * order of versions. `headers` go with every upgrade; further `options` are the client's own.
 */
export function connect(t, url, { name = "ConvexClient", headers, ...options } = {}) {
  const { WebSocket, sockets } = tap(headers);
  const connected = new Connected(name, url, { webSocketConstructor: WebSocket, ...options }, sockets);
  t.after(() => connected.close());
  return connected;
}

class Connected {
  /** Each word of `setAuth`'s callback, in order. */
  authChanges = [];
  /** Calls of `fetchToken`: true where a new token was demanded. */
  demands = [];
  updates = 0;

  constructor(name, url, options, sockets) {
    this.sockets = sockets;
    this.made = MAKERS[name](url, options, () => void (this.updates += 1));
  }

  /** The socket of this moment. */
  get socket() {
    return this.sockets.at(-1);
  }

  /** A live query. `value` is undefined as long as there is none, and where the query failed; then `error` says why. */
  watch(name, args = {}) {
    return new Watch(name, this.made.watch(name, args));
  }

  /** The first answer of a query, or its error thrown. */
  async query(name, args = {}) {
    const watch = this.watch(name, args);
    try {
      return await watch.settled();
    } finally {
      watch.stop();
    }
  }

  mutation(name, args = {}) {
    return this.#answer(name, this.made.client.mutation(this.made.reference(name), args));
  }

  action(name, args = {}) {
    return this.#answer(name, this.made.client.action(this.made.reference(name), args));
  }

  /** The answer, or an error instead of waiting for ever. */
  #answer(name, promise) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${name} is not answered within ${ANSWERED_WITHIN_MS} ms:\n${this.story()}`)),
        ANSWERED_WITHIN_MS,
      );
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  /** What passed on the sockets, for a failure's message. */
  story() {
    const line =
      (arrow) =>
      ({ at, message }) => ({ at, text: `${Math.round(at)} ${arrow} ${JSON.stringify(message).slice(0, 300)}` });
    const lines = this.sockets.map((socket, index) => {
      const passed = [...socket.sent.map(line("->")), ...socket.received.map(line("<-"))].toSorted((one, other) => one.at - other.at);
      return [`socket ${index}, ${JSON.stringify(socket.end ?? socket.failure ?? "open")}`, ...passed.map(({ text }) => text)].join("\n");
    });
    return lines.join("\n");
  }

  /** `setAuth` with a fetcher; notes what the client asks and says. */
  setAuth(fetchToken) {
    const fetcher = ({ forceRefreshToken }) => {
      this.demands.push(forceRefreshToken);
      return fetchToken({ forceRefreshToken });
    };
    this.made.client.setAuth(fetcher, (isAuthenticated) => void this.authChanges.push(isAuthenticated));
  }

  clearAuth() {
    this.made.clearAuth();
  }

  async close() {
    void this.made.client.close();
    // The oldest client waits anew for a silent server after each message, even of one that it is closing.
    for (const socket of this.sockets) socket.onmessage = null;
    await waitFor("the client's sockets are closed", () => this.sockets.every(({ readyState }) => readyState === 3), CLOSED_WITHIN_MS);
    for (const { gaps } of this.sockets) assert.deepEqual(gaps, [], "transitions that do not follow one another");
  }
}

class Watch {
  constructor(name, { read, stop }) {
    this.name = name;
    this.read = read;
    this.stop = () => void stop();
  }

  get value() {
    try {
      return this.read();
    } catch {
      return undefined;
    }
  }

  get error() {
    try {
      this.read();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Waits until the value is one that `isMeant`, and gives it. */
  async until(isMeant, what = "a value that is meant", withinMs = undefined) {
    let found;
    await waitFor(`${this.name}: ${what}`, () => (found = this.value) !== undefined && isMeant(found), withinMs);
    return found;
  }

  /** The first value, or the error thrown. */
  async settled() {
    await waitFor(`${this.name} is answered`, () => this.value !== undefined || this.error !== undefined);
    return this.read();
  }
}

function watchByReact(client, reference, noteUpdate) {
  return (name, args) => {
    const watch = client.watchQuery(reference(name), args);
    const stop = watch.onUpdate(noteUpdate);
    return { read: () => watch.localQueryResult(), stop };
  };
}
