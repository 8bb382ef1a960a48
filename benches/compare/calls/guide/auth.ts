import NextAuth, { type DefaultSession } from "next-auth";

import { ConvexAdapter } from "@/lib/convex-adapter";
import { providers } from "@/lib/providers";
import { signedToken } from "@/lib/signed-token";

declare module "next-auth" {
  interface Session {
    id: string;
    user: { id: string; name: string | null; email: string | null };
    expires: DefaultSession["expires"];
    convexToken: string;
  }
}

export const { handlers, auth, signIn, signOut } = NextAuth({
  adapter: ConvexAdapter,
  providers,
  pages: { signIn: "/signin", verifyRequest: "/check-mail", error: "/auth-error" },
  callbacks: {
    // Whoever reads the session gets the row and a fresh token with it.
    session: async ({ session }) => ({ ...session, convexToken: await signedToken(session.userId) }),
  },
});
