import { ConvexAuthProxyAdapter } from "convex-auth-proxy-adapter";
import NextAuth, { type DefaultSession } from "next-auth";

import { providers } from "@/lib/providers";

declare module "next-auth" {
  interface Session {
    /** The id of the session's row. It tells one sign-in from the next, and is good for nothing else. */
    id: string;
    user: { id: string; name: string | null; email: string | null };
    expires: DefaultSession["expires"];
  }
}

/*
 * There is no middleware that calls `auth()`: it would read the session from the database for every request, prefetches
 * included, and pages must check again anyhow. Each page that needs somebody asks by itself.
 */
export const { handlers, auth, signIn, signOut } = NextAuth({
  // Its options are the environment's: CONVEX_ADAPTER_URL, CONVEX_ADAPTER_TOKEN. With an adapter sessions live in the database.
  adapter: ConvexAuthProxyAdapter(),
  providers,
  pages: { signIn: "/signin", verifyRequest: "/check-mail", error: "/auth-error" },
  callbacks: {
    // What is returned here is readable by every script in the page. `session` is the whole row, its secret token included.
    session: ({ session, user }) => ({
      id: session.id,
      user: { id: user.id, name: user.name ?? null, email: user.email || null },
      expires: new Date(session.expires).toISOString(),
    }),
  },
});
