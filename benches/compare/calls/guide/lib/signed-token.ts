import { importPKCS8, SignJWT } from "jose";

// Next.js bundles a page and a route handler apart, each with its own copy of a module's variables.
const shared = globalThis as { tokensSigned?: number };

export function tokensSigned(): number {
  return shared.tokensSigned ?? 0;
}

/** A Convex token for that user. The key is imported for each, as the guide has it. */
export async function signedToken(userId: string): Promise<string> {
  const { CONVEX_AUTH_PRIVATE_KEY, CONVEX_SITE_URL } = process.env;
  if (!CONVEX_AUTH_PRIVATE_KEY || !CONVEX_SITE_URL) throw new Error("CONVEX_AUTH_PRIVATE_KEY or CONVEX_SITE_URL is not set");
  const key = await importPKCS8(CONVEX_AUTH_PRIVATE_KEY, "RS256");
  shared.tokensSigned = tokensSigned() + 1;
  return new SignJWT({})
    .setProtectedHeader({ alg: "RS256" })
    .setSubject(userId)
    .setIssuer(CONVEX_SITE_URL)
    .setAudience("convex")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(key);
}
