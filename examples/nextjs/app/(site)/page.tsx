import { fetchQuery } from "convex/nextjs";
import { connection } from "next/server";

import { Board, type Message } from "@/components/board";
import { Connection } from "@/components/connection";
import { Identity } from "@/components/identity";
import { PopupSignIn } from "@/components/popup-sign-in";
import { api } from "@/convex/_generated/api";
import { oauthProviders } from "@/lib/providers";
import { convexAs } from "@/lib/session";

export default async function BoardPage() {
  return (
    <>
      <section className="hero">
        <h1>Everybody sees it at once.</h1>
        <p>Write something, open a second tab, sign in, sign out. What changes in one place changes in all of them.</p>
      </section>
      <div className="columns">
        <Board initial={await messages()} />
        <aside className="stack">
          <section className="card" aria-labelledby="who-title">
            <h2 id="who-title">Who Convex thinks you are</h2>
            <Identity />
            <PopupSignIn providers={oauthProviders} />
          </section>
          <Connection />
        </aside>
      </div>
    </>
  );
}

/** For the first paint, and for who has no JavaScript; the socket brings them again. */
async function messages(): Promise<Message[] | undefined> {
  // Not at build time: what it throws there has to get past the `catch`.
  await connection();
  try {
    return await fetchQuery(api.demo.list, {}, convexAs(null));
  } catch (error) {
    console.error("the messages cannot be read:", error);
    return undefined;
  }
}
