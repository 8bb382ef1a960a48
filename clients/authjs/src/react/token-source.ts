import { askForToken, type TokenAnswer } from "./ask.js";
import { until } from "./until.js";

/** Between tries that failed: each wait is twice the one before, up to the second number. */
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [500, 30_000];
/** How long tries go on at least, however short the token that Convex holds still lives. */
const SHORTEST_TRY_MS = 10_000;
/** And at most, so that a clock that is wrong ends somewhere. */
const LONGEST_TRY_MS = 10 * 60_000;
/** After giving up: how often a page that is being looked at asks again. */
const PROBE_MS = 30_000;

/** The tokens of one signed-in user, from the proxy's `/auth/token`. */
export class TokenSource {
  readonly #url: string;
  readonly #closed = new AbortController();
  readonly #inFlight: { forced?: Promise<string | null>; unforced?: Promise<string | null> } = {};
  /** When the token that Convex holds ends, in epoch milliseconds. */
  #heldUntil = 0;
  /** Why Convex was last told that there is no token: a session may come back, an outage ends. */
  #gaveUp: "no-session" | "outage" | undefined;
  #isProbing = false;

  constructor(url: string) {
    this.#url = url;
  }

  /**
   * A token, or `null` when there is no session or when an outage outlasts the token that Convex holds. Never rejects: Convex would be
   * left with its socket paused.
   */
  readonly fetchAccessToken = ({ forceRefreshToken }: { forceRefreshToken: boolean }): Promise<string | null> => {
    // A token on its way may be one that was given before, so it does for a call that is not forced only.
    const { forced, unforced } = this.#inFlight;
    const shared = forced ?? (forceRefreshToken ? undefined : unforced);
    if (shared !== undefined) return shared;
    const slot = forceRefreshToken ? "forced" : "unforced";
    const asked = this.#ask(forceRefreshToken).finally(() => delete this.#inFlight[slot]);
    this.#inFlight[slot] = asked;
    return asked;
  };

  /** Ends what is under way with `null`: from now on a token would be somebody else's. */
  close(): void {
    this.#closed.abort();
  }

  /** Calls `onRecovered` once a token can be had again after Convex was told `null`. Returns what ends the watch. */
  watch(onRecovered: () => void): () => void {
    const probe = () => void this.#probe(onRecovered);
    const whenSeen = () => document.visibilityState === "visible" && probe();
    const timer = setInterval(() => this.#gaveUp === "outage" && whenSeen(), PROBE_MS);
    window.addEventListener("online", probe);
    document.addEventListener("visibilitychange", whenSeen);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", probe);
      document.removeEventListener("visibilitychange", whenSeen);
    };
  }

  /** To be called when Auth.js has read its session again: where Convex was told `null`, there may now be a token. */
  sessionWasRead(onRecovered: () => void): void {
    void this.#probe(onRecovered);
  }

  async #ask(force: boolean): Promise<string | null> {
    this.#gaveUp = undefined;
    const started = Date.now();
    const tryUntil = started + Math.min(Math.max(this.#heldUntil - started, SHORTEST_TRY_MS), LONGEST_TRY_MS);
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      const answer = await askForToken(this.#url, force, this.#closed.signal);
      if (this.#closed.signal.aborted) return null;
      if (answer.kind === "token") {
        this.#heldUntil = answer.expiresAt;
        return answer.token;
      }
      const mayHeal = answer.kind === "failed" && answer.mayHeal;
      if (!mayHeal || Date.now() + wait >= tryUntil) return this.#giveUp(answer);
      // Many pages lose one proxy at the same time; they need not come back at the same time.
      await until(wait * (0.75 + Math.random() / 2), this.#closed.signal);
      if (this.#closed.signal.aborted) return null;
    }
  }

  #giveUp(answer: Exclude<TokenAnswer, { kind: "token" }>): null {
    this.#gaveUp = answer.kind === "no-session" ? "no-session" : "outage";
    this.#heldUntil = 0;
    if (answer.kind === "failed") console.error(`convex-auth-proxy: no token from ${this.#url}/auth/token: ${answer.reason}`);
    return null;
  }

  async #probe(onRecovered: () => void): Promise<void> {
    if (this.#gaveUp === undefined || this.#isProbing || this.#closed.signal.aborted) return;
    this.#isProbing = true;
    try {
      const answer = await askForToken(this.#url, false, this.#closed.signal);
      // A call of Convex that came meanwhile decides for itself.
      if (answer.kind === "token" && this.#gaveUp !== undefined && !this.#closed.signal.aborted) {
        this.#gaveUp = undefined;
        onRecovered();
      }
    } finally {
      this.#isProbing = false;
    }
  }
}
