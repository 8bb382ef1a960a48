// An Auth.js adapter on Convex, in the two ways in which an app can write one with the proxy in between.

import { fetchMutation, fetchQuery } from "convex/nextjs";
import { anyApi } from "convex/server";

/**
 * All methods of `Adapter` as calls of Convex functions with the published client. Dates leave as ISO strings and nulls
 * as they are: what Convex wants instead is the proxy's business. With `secret` it is in the arguments, for the public
 * listener; without, the adapter listener adds it. `token` is a caller's token of the adapter listener.
 */
export function convexAdapter({ url, secret, token, module = "authAdapter" }) {
  const options = token === undefined ? { url } : { url, token };
  const functions = module.split("/").reduce((api, name) => api[name], anyApi);
  const withSecret = (args) => (secret === undefined ? args : { ...args, secret });
  const query = (name, args) => fetchQuery(functions[name], withSecret(args), options);
  const mutation = (name, args) => fetchMutation(functions[name], withSecret(args), options);

  return {
    async createUser({ id: _, ...user }) {
      return { ...user, id: await mutation("createUser", { user: outgoing(user) }) };
    },
    getUser: async (id) => userRow(await query("getUser", { id })),
    getUserByEmail: async (email) => userRow(await query("getUserByEmail", { email })),
    getUserByAccount: async ({ provider, providerAccountId }) =>
      userRow(await query("getUserByAccount", { provider, providerAccountId })),
    async updateUser(user) {
      await mutation("updateUser", { user: outgoing(user) });
      return userRow(await query("getUser", { id: user.id }));
    },
    deleteUser: async (id) => userRow(await mutation("deleteUser", { id })),

    linkAccount: async (account) => row(await mutation("linkAccount", { account: outgoing(account) })),
    unlinkAccount: async ({ provider, providerAccountId }) =>
      row(await mutation("unlinkAccount", { provider, providerAccountId })) ?? undefined,
    getAccount: async (providerAccountId, provider) => row(await query("getAccount", { provider, providerAccountId })),

    async createSession(session) {
      return { ...session, id: await mutation("createSession", { session: outgoing(session) }) };
    },
    async getSessionAndUser(sessionToken) {
      const found = await query("getSessionAndUser", { sessionToken });
      return found && { session: datedRow(found.session), user: userRow(found.user) };
    },
    async updateSession(session) {
      await mutation("updateSession", { session: outgoing(session) });
    },
    deleteSession: async (sessionToken) => datedRow(await mutation("deleteSession", { sessionToken })),

    async createVerificationToken(verificationToken) {
      await mutation("createVerificationToken", { verificationToken: outgoing(verificationToken) });
      return verificationToken;
    },
    async useVerificationToken({ identifier, token: verificationToken }) {
      const used = datedRow(await mutation("useVerificationToken", { identifier, token: verificationToken }));
      return used && { identifier: used.identifier, token: used.token, expires: used.expires };
    },

    async createAuthenticator(authenticator) {
      await mutation("createAuthenticator", { authenticator: outgoing(authenticator) });
      return authenticator;
    },
    getAuthenticator: async (credentialID) => row(await query("getAuthenticator", { credentialID })),
    listAuthenticatorsByUserId: async (userId) => (await query("listAuthenticatorsByUserId", { userId })).map(row),
    updateAuthenticatorCounter: async (credentialID, newCounter) =>
      row(await mutation("updateAuthenticatorCounter", { credentialID, newCounter })),
  };
}

/**
 * All methods as the proxy serves them in Auth.js's own shape, each one POST of its arguments by name. What is left to the
 * app is to turn `Date` into text and back. `post(path, body)` gives the answer's JSON, or throws.
 */
export function thinAdapter(post) {
  const run = async (name, args) => revive(await post(`/adapter/${name}`, args));
  const by = (name, argument) => (value) => run(name, { [argument]: value });
  return {
    createUser: by("createUser", "user"),
    getUser: by("getUser", "id"),
    getUserByEmail: by("getUserByEmail", "email"),
    getUserByAccount: (key) => run("getUserByAccount", key),
    updateUser: by("updateUser", "user"),
    deleteUser: by("deleteUser", "id"),
    linkAccount: by("linkAccount", "account"),
    unlinkAccount: async (key) => (await run("unlinkAccount", key)) ?? undefined,
    getAccount: (providerAccountId, provider) => run("getAccount", { provider, providerAccountId }),
    createSession: by("createSession", "session"),
    getSessionAndUser: by("getSessionAndUser", "sessionToken"),
    updateSession: by("updateSession", "session"),
    deleteSession: by("deleteSession", "sessionToken"),
    createVerificationToken: by("createVerificationToken", "verificationToken"),
    useVerificationToken: (key) => run("useVerificationToken", key),
    createAuthenticator: by("createAuthenticator", "authenticator"),
    getAuthenticator: by("getAuthenticator", "credentialID"),
    listAuthenticatorsByUserId: by("listAuthenticatorsByUserId", "userId"),
    updateAuthenticatorCounter: (credentialID, newCounter) =>
      run("updateAuthenticatorCounter", { credentialID, newCounter }),
  };
}

/** `post` for `thinAdapter` by `fetch`. */
export function postTo(url, headers = {}) {
  return async (path, body) => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };
}

function outgoing(fields) {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value]));
}

/** A stored row as Auth.js knows it: `id` for Convex's own two fields. */
function row(stored) {
  if (stored === null) return null;
  const { _id, _creationTime, ...fields } = stored;
  return { ...fields, id: _id };
}

function datedRow(stored) {
  return stored && { ...row(stored), expires: new Date(stored.expires) };
}

function userRow(stored) {
  return stored && { ...row(stored), emailVerified: stored.emailVerified === undefined ? null : new Date(stored.emailVerified) };
}

const DATE_FIELDS = new Set(["expires", "emailVerified"]);

function revive(answer) {
  return JSON.parse(JSON.stringify(answer), (name, value) =>
    DATE_FIELDS.has(name) && typeof value === "string" ? new Date(value) : value,
  );
}
