// Keys and the environment that `serve` needs, made here so that the binary is not asked to trust its own.

import { generateKeyPairSync } from "node:crypto";

/** A PKCS#8 PEM and the set with its public half, as a deployment would publish it. */
export function keyPair(kid = "key-of-the-tests") {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid }] });
  return { pem, jwks };
}

/** What `serve` must be told, in the guide's names. */
export function serveEnvironment(deploymentUrl, { pem, jwks } = keyPair()) {
  return {
    CONVEX_URL: deploymentUrl,
    CONVEX_SITE_URL: "https://issuer.example",
    CONVEX_AUTH_ADAPTER_SECRET: "the adapter secret of this deployment",
    CONVEX_AUTH_PRIVATE_KEY: pem,
    JWKS: jwks,
  };
}
