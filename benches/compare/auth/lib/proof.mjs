// What a subject has to show before it is timed, and again after each slice: that it does the whole of the work, and lets in nobody else.

import { createLocalJWKSet, jwtVerify } from "jose";

/** Fails unless the sessions at these places are answered rightly and a made-up cookie gives nothing. */
export async function prove(worker, expected, facts) {
  for (const one of [expected[0], expected[1], expected.at(-1)]) {
    await checkAnswer(await worker.ask("read", { sessionToken: one.sessionToken }), one, facts);
  }
  for (const [what, sessionToken] of Object.entries(forged(expected[0].sessionToken))) {
    const { session, token } = await worker.ask("read", { sessionToken });
    if (session !== null || token !== null) throw new Error(`${what} gives ${session === null ? "a token" : "a session"}`);
  }
}

/** Fails unless the session is this user's and the token one that the deployment would take for this user. */
export async function checkAnswer({ session, token }, { sessionToken, userId, email, expires }, { jwks, issuer }) {
  same("the user's id", session?.user?.id, userId);
  same("the user's address", session.user.email, email);
  same("the session's token", session.sessionToken, sessionToken);
  same("the session's end", Date.parse(session.expires), expires);
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(JSON.parse(jwks)), {
    issuer,
    audience: "convex",
    algorithms: ["RS256"],
    requiredClaims: ["iat", "exp"],
  });
  same("the token's `sub`", payload.sub, userId);
  // A list with "convex" in it would pass the above, and Convex refuses it.
  same("the token's `aud`", payload.aud, "convex");
  same("the token's algorithm", protectedHeader.alg, "RS256");
}

/** Cookies that no session has. */
function forged(sessionToken) {
  const other = sessionToken.endsWith("0") ? "1" : "0";
  return {
    "a cookie with one character changed": sessionToken.slice(0, -1) + other,
    "a cookie cut short": sessionToken.slice(0, -1),
    "a cookie of nobody's": crypto.randomUUID(),
  };
}

function same(what, is, shouldBe) {
  if (is !== shouldBe) throw new Error(`${what} is ${JSON.stringify(is)} and should be ${JSON.stringify(shouldBe)}`);
}
