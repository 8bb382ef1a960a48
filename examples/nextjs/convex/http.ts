/**
 * The two documents by which Convex verifies a token, for a deployment that publishes the keys itself. Where the proxy is the
 * issuer it serves them, and nobody asks here.
 */
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";

/**
 * Convex keeps what it fetched for `max-age` and does not fetch again when a token names an unknown key, so a new key is of
 * no use for that long. An outage, on the other hand, must not make the tokens that are out there worthless.
 */
const CACHE_CONTROL = "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400";
/** The members that make a key private, or are a secret (RFC 7518 section 6). */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/** How a key signs that does not say so itself. */
const USUAL_ALGORITHM: Record<string, string> = { RSA: "RS256", OKP: "EdDSA", EC: "ES256" };

type Key = { kty?: string; alg?: string };

const http = httpRouter();

http.route({
  path: "/.well-known/openid-configuration",
  method: "GET",
  handler: httpAction(async () =>
    withKeys((keys) => {
      const issuer = process.env.CONVEX_SITE_URL!;
      const algorithms = keys.map((key) => key.alg ?? USUAL_ALGORITHM[key.kty ?? ""] ?? "RS256");
      // All that OpenID Connect Discovery 1.0 requires. There is no OAuth here: nobody serves the authorization endpoint.
      return {
        issuer,
        authorization_endpoint: `${issuer}/oauth/authorize`,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [...new Set(algorithms)],
      };
    }),
  ),
});

http.route({
  path: "/.well-known/jwks.json",
  method: "GET",
  handler: httpAction(async () => withKeys((keys) => ({ keys }))),
});

export default http;

/** The document that is made of the keys of `JWKS`, or what is wrong with the variable. */
function withKeys(document: (keys: Key[]) => object) {
  const jwks = process.env.JWKS;
  if (!jwks) {
    return failure("JwksMissing", "the deployment has no environment variable JWKS");
  }
  const keys = parseKeys(jwks);
  if (keys === null) {
    return failure("JwksInvalid", 'JWKS is not a key set: it must be JSON such as {"keys":[…]}, with a key in it');
  }
  if (keys.some((key) => PRIVATE_MEMBERS.some((member) => member in key))) {
    return failure("JwksPrivate", "JWKS holds a private key, which must not be published: replace the key pair");
  }
  return json(document(keys), 200, CACHE_CONTROL);
}

function parseKeys(jwks: string): Key[] | null {
  try {
    const { keys } = JSON.parse(jwks);
    const isKey = (key: unknown) => typeof key === "object" && key !== null;
    return Array.isArray(keys) && keys.length > 0 && keys.every(isKey) ? keys : null;
  } catch {
    return null;
  }
}

function failure(code: string, message: string) {
  return json({ code, message }, 500, "no-store");
}

function json(body: object, status: number, cacheControl: string) {
  const headers = { "Content-Type": "application/json", "Cache-Control": cacheControl };
  return new Response(JSON.stringify(body), { status, headers });
}
