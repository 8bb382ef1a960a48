// Verifies tokens as a deployment would: { jwks, algorithm, issuer, subject, tokens } on standard input; exit code 1 and why not.

import { readFileSync } from "node:fs";

import { createLocalJWKSet, jwtVerify } from "jose";

const { jwks, algorithm, issuer, subject, tokens } = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(jwks);
try {
  for (const token of tokens) await jwtVerify(token, keys, { algorithms: [algorithm], issuer, subject, audience: "convex" });
} catch (error) {
  console.error(`a token is not what it should be: ${error.message}`);
  process.exit(1);
}
