/**
 * Whose tokens this deployment takes. One of two:
 *
 * - The proxy is the issuer: `AUTH_ISSUER_URL` is its `token.issuer`, an `https` URL that Convex can reach, and the proxy
 *   serves the key documents there.
 * - The deployment publishes the keys itself (`http.ts`, `JWKS`): `AUTH_ISSUER_URL` is not set, and the issuer is the
 *   deployment's own site.
 */
import type { AuthConfig } from "convex/server";

export default {
  providers: [{ domain: issuer(), applicationID: "convex" }],
} satisfies AuthConfig;

function issuer() {
  try {
    // Here, and in no other file, Convex throws for a variable that is not set, so `??` alone would fail the push.
    const proxy = process.env.AUTH_ISSUER_URL;
    if (proxy) {
      return proxy;
    }
  } catch {
    // Not set.
  }
  return process.env.CONVEX_SITE_URL!;
}
