// A WebSocket as the clients want one, which can send headers, and which remembers all that passed.

import { WebSocket } from "ws";

/** More than the largest message of any test. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * `{ WebSocket, sockets }`: a class to be given as `webSocketConstructor`, and its sockets in the order of their making. `headers` go
 * with each upgrade; a function of them is asked anew for each.
 *
 * A socket has `sent` and `received`, each message as `{ at, message }` with `at` of `performance.now()`; what was received has its
 * `text` and the `wall` clock's time too. A transition that came in chunks is put together and stands where its last chunk came;
 * `chunks` counts those. `gaps` holds each transition whose start is not the end of the one before: there must never be one. `end` is
 * `{ code, reason }` once the socket is closed, `failure` why it never opened.
 */
export function tap(headers = {}) {
  const sockets = [];
  class Tapped extends WebSocket {
    sent = [];
    received = [];
    gaps = [];
    chunks = 0;
    end = undefined;
    failure = undefined;
    #version = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
    #parts = [];

    constructor(url, protocols) {
      super(url, protocols, { headers: typeof headers === "function" ? headers() : headers, maxPayload: MOST_BYTES });
      sockets.push(this);
      this.on("message", (data, isBinary) => this.#note(isBinary ? undefined : data.toString()));
      this.on("error", (error) => (this.failure = error.message));
      this.on("close", (code, reason) => (this.end = { code, reason: reason.toString() }));
    }

    send(text, ...rest) {
      this.sent.push({ at: performance.now(), message: typeof text === "string" ? parsed(text) : text });
      super.send(text, ...rest);
    }

    /** The messages of one type that came so far. */
    of(type) {
      return this.received.map(({ message }) => message).filter((message) => message.type === type);
    }

    /** The same of what was sent. */
    sentOf(type) {
      return this.sent.map(({ message }) => message).filter((message) => message?.type === type);
    }

    /** The identity that the client knows of: that of the last transition. */
    get version() {
      return this.#version;
    }

    #note(text) {
      const whole = this.#whole(text);
      if (whole === undefined) return;
      const message = parsed(whole);
      this.received.push({ at: performance.now(), wall: Date.now(), message, text: whole });
      if (message.type !== "Transition") return;
      const { startVersion, endVersion } = message;
      const follows = Object.entries(this.#version).every(([name, value]) => startVersion[name] === value);
      if (!follows) this.gaps.push({ previousEnd: this.#version, startVersion });
      this.#version = endVersion;
    }

    #whole(text) {
      const message = parsed(text);
      if (message.type !== "TransitionChunk") return text;
      this.chunks += 1;
      this.#parts.push(message.chunk);
      return this.#parts.length < message.totalParts ? undefined : this.#parts.splice(0).join("");
    }
  }
  return { WebSocket: Tapped, sockets };
}

/** A message as JSON has it; what is none is kept as it is. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { type: "unreadable", text };
  }
}
