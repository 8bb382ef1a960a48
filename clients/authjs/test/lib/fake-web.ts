import type { TestContext } from "node:test";

export interface TokenRequest {
  force: boolean;
  init: RequestInit;
  url: string;
  /** Answers, unless the page has given the request up. */
  answer: (status: number, body: unknown) => void;
  /** Fails as a browser does when there is no connection. */
  fail: () => void;
}

export interface FakeWeb {
  /** What `/api/auth/session` answers with. */
  session: unknown;
  sessionReads: number;
  /** Every request for a token, answered or not. */
  tokenRequests: TokenRequest[];
  /** Answers a request for a token as soon as it arrives. */
  onTokenRequest: ((request: TokenRequest) => void) | undefined;
  /** Holds back answers to session reads until called. */
  holdSession: () => () => void;
}

/** Puts a `fetch` in place that knows Auth.js's session route and the proxy's token route. */
export function fakeWeb(t: TestContext, session: unknown = null): FakeWeb {
  let held: Promise<void> = Promise.resolve();
  const web: FakeWeb = {
    session,
    sessionReads: 0,
    tokenRequests: [],
    onTokenRequest: undefined,
    holdSession: () => {
      let release = () => {};
      held = new Promise((resolve) => (release = resolve));
      return release;
    },
  };
  t.mock.method(globalThis, "fetch", async (input: unknown, init: RequestInit = {}) => {
    const url = String(input);
    if (url.endsWith("/auth/token")) {
      return new Promise<Response>((resolve, reject) => {
        const aborted = () => reject(new DOMException("aborted", "AbortError"));
        if (init.signal?.aborted) return aborted();
        init.signal?.addEventListener("abort", aborted);
        const request: TokenRequest = {
          force: JSON.parse(String(init.body)).forceRefresh === true,
          init,
          url,
          answer: (status, body) => resolve(Response.json(body, { status })),
          fail: () => reject(new TypeError("Failed to fetch")),
        };
        web.tokenRequests.push(request);
        web.onTokenRequest?.(request);
      });
    }
    if (url.includes("/api/auth/session")) {
      web.sessionReads++;
      await held;
      return Response.json(web.session);
    }
    if (url.includes("/api/auth/csrf")) return Response.json({ csrfToken: "csrf" });
    throw new Error(`nothing is known of ${url}`);
  });
  return web;
}

let issued = 0;

/** A token as Convex's client can read it, another one at each call. */
export function jwt(subject: string, lifetimeSeconds = 3600): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  return `${part({ alg: "none" })}.${part({ sub: subject, iat, exp: iat + lifetimeSeconds, jti: ++issued })}.x`;
}

export function tokenAnswer(subject: string, lifetimeSeconds = 3600): { token: string; expiresAt: number } {
  return { token: jwt(subject, lifetimeSeconds), expiresAt: Date.now() + lifetimeSeconds * 1000 };
}

export function sessionOf(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { user: { name, email: `${name}@example.com` }, expires: new Date(Date.now() + 3_600_000).toISOString(), ...more };
}
