import type { ReactNode } from "react";

import { Header } from "@/components/header";
import { Providers } from "@/components/providers";
import { isMailboxOpen } from "@/lib/letters";
import { currentSession } from "@/lib/session";

export default async function SiteLayout({ children }: { children: ReactNode }) {
  return (
    <Providers session={await currentSession()}>
      <a className="skip" href="#content">
        Skip to content
      </a>
      <Header hasMailbox={isMailboxOpen} />
      <main id="content" tabIndex={-1}>
        {children}
      </main>
      <footer>
        <p>An example of convex-auth-proxy: Auth.js keeps the session, Convex the data, the proxy stands between.</p>
      </footer>
    </Providers>
  );
}
