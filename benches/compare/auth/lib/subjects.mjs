// Those that are measured: for each, how an app's server comes by the session and a Convex token for the `Cookie` header of a request.

import { Auth } from "@auth/core";
import { fetchQuery } from "convex/nextjs";
import { makeFunctionReference } from "convex/server";
import { importPKCS8, SignJWT } from "jose";

import { ConvexAuthProxyAdapter, convexToken, sessionTokenFrom } from "../../../../clients/authjs/dist/esm/index.js";

const SESSION_URL = "http://localhost:3000/api/auth/session";
export const SESSION_COOKIE = "authjs.session-token";

/** The one that the others are compared with. */
export const REFERENCE = "proxy";

export const SUBJECTS = [
  { name: "guide", title: "guide's way", make: (settings) => guide(settings, () => importedKey(settings)) },
  {
    name: "guide-key-once",
    title: "guide's way, key imported once",
    make: (settings) => {
      const key = importedKey(settings);
      return guide(settings, () => key);
    },
  },
  { name: REFERENCE, title: "through the proxy", proxy: "tcp", make: proxied },
  { name: "proxy-unix", title: "through the proxy, unix socket", proxy: "unix", make: proxied },
];

/** The session callback signs, so the token comes with the session. */
function guide(settings, key) {
  const session = async ({ session }) => ({ ...session, convexToken: await signedToken(session.userId, settings.issuer, await key()) });
  const auth = authOf({ adapter: guideAdapter(settings), callbacks: { session } });
  return async (cookie) => {
    const session = await auth(cookie);
    return { session, token: session?.convexToken ?? null };
  };
}

/** As the package's README has it: the session from `auth()`, and the token by a call of its own. One after the other, which is the slower way. */
function proxied({ proxyOptions }) {
  const auth = authOf({ adapter: ConvexAuthProxyAdapter(proxyOptions) });
  return async (cookie) => {
    const session = await auth(cookie);
    return { session, token: await convexToken(sessionTokenFrom(cookie), proxyOptions) };
  };
}

/** What next-auth's `auth()` does in a server component, without Next.js around it: a request made up for the session route, and its answer read. */
function authOf(config) {
  return async (cookie) => {
    const session = async (given) => {
      const made = (await config.callbacks?.session?.(given)) ?? { ...given.session, expires: given.session.expires.toISOString() };
      return { user: given.user, ...made };
    };
    const request = new Request(SESSION_URL, { headers: { cookie } });
    const response = await Auth(request, {
      secret: "of cookies that no flow here makes",
      trustHost: true,
      basePath: "/api/auth",
      providers: [],
      ...config,
      callbacks: { ...config.callbacks, session },
    });
    return response.ok ? response.json() : null;
  };
}

/** Straight at the deployment, by Convex's client, a new one for each call: `convex/nextjs` is what the guide's adapter calls with. */
function guideAdapter({ deploymentUrl, secret }) {
  const getSessionAndUser = makeFunctionReference("authAdapter:getSessionAndUser");
  const date = (milliseconds) => (milliseconds === undefined ? null : new Date(milliseconds));
  const ofUsers = ["createUser", "getUser", "getUserByEmail", "getUserByAccount", "updateUser", "linkAccount"];
  const others = [...ofUsers, "createSession", "updateSession", "deleteSession"];
  return {
    ...Object.fromEntries(others.map((method) => [method, () => notMeasured(method)])),
    getSessionAndUser: async (sessionToken) => {
      const found = await fetchQuery(getSessionAndUser, { sessionToken, secret }, { url: deploymentUrl });
      if (found === null) return null;
      const { session, user } = found;
      return {
        session: { ...session, id: session._id, expires: date(session.expires) },
        user: { ...user, id: user._id, emailVerified: date(user.emailVerified) },
      };
    },
  };
}

/** Auth.js looks whether these are there. A read of a session that is neither old nor over calls none of them. */
function notMeasured(method) {
  throw new Error(`${method} is not part of this measurement`);
}

function importedKey({ privateKey }) {
  return importPKCS8(privateKey.replaceAll("\\n", "\n"), "RS256");
}

function signedToken(userId, issuer, key) {
  return new SignJWT({})
    .setProtectedHeader({ alg: "RS256" })
    .setSubject(userId)
    .setIssuer(issuer)
    .setAudience("convex")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(key);
}
