// Somebody to be signed in as, made through the adapter listener as an app would.

import { randomBytes, randomUUID } from "node:crypto";

import { send } from "./http.mjs";
import { convexAdapter } from "./adapter.mjs";

/** The cookie that Auth.js uses over http. */
export const SESSION_COOKIE = "authjs.session-token";

/** The page that `dev` lists. */
export const APP_ORIGIN = "http://localhost:3000";

/** A new user with a session: `{ user, userId, sessionToken, cookie, adapter }`. */
export async function signedIn(proxy, { sessionToken = randomUUID(), livesMs = 60 * 60 * 1_000, ...fields } = {}) {
  const adapter = convexAdapter({ url: proxy.adapterUrl });
  const user = await adapter.createUser({ email: freshEmail(), emailVerified: null, name: "Grace Hopper", ...fields });
  const expires = new Date(Date.now() + livesMs);
  await adapter.createSession({ sessionToken, userId: user.id, expires });
  return { adapter, user, userId: user.id, sessionToken, expires, cookie: `${SESSION_COOKIE}=${sessionToken}` };
}

/** An address that nobody has. */
export function freshEmail() {
  return `user-${randomBytes(6).toString("hex")}@example.com`;
}

/** `POST /auth/token`, as the app's server asks. */
export function tokenFor(proxy, body) {
  return send(`${proxy.adapterUrl}/auth/token`, { body });
}

/** `POST /auth/token`, as a page or its server asks. */
export function tokenByCookie(proxy, cookie, { headers = {}, body } = {}) {
  return send(`${proxy.publicUrl}/auth/token`, { method: "POST", body, headers: { cookie, ...headers } });
}

/** `fetchToken` of `setAuth` as a page would write it: a token for its cookie, null once there is no session. */
export function pageTokens(proxy, cookie) {
  return async ({ forceRefreshToken }) => {
    const { status, json } = await tokenByCookie(proxy, cookie, { body: { forceRefresh: forceRefreshToken } });
    return status === 200 ? json.token : null;
  };
}
