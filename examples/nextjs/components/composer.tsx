"use client";

import { useMutation, useQuery } from "convex/react";
import { ConvexError } from "convex/values";
import { useSession } from "next-auth/react";
import { useState, type KeyboardEvent } from "react";

import { api } from "@/convex/_generated/api";
import type { Id } from "@/convex/_generated/dataModel";

const LONGEST = 1000;
const PENDING = "pending:";

/** Whether the row is this tab's guess of what the deployment is about to store. */
export function isPending(id: Id<"messages">): boolean {
  return id.startsWith(PENDING);
}

export function Composer() {
  const identity = useQuery(api.demo.whoami);
  const { data: session } = useSession();
  const [body, setBody] = useState("");
  const [problem, setProblem] = useState<string>();
  // The deployment decides who signs. This is what it will say, as far as the page can know.
  const { name, email } = session?.user ?? {};
  const author = identity ? (identity.name ?? name ?? email?.split("@")[0] ?? "you") : "anonymous";

  const send = useMutation(api.demo.send).withOptimisticUpdate((store, { body }) => {
    const messages = store.getQuery(api.demo.list);
    if (messages === undefined) return;
    const _id = `${PENDING}${crypto.randomUUID()}` as Id<"messages">;
    store.setQuery(api.demo.list, {}, [...messages, { _id, _creationTime: Date.now(), author, body }]);
  });

  async function submit() {
    const text = body.trim();
    if (text === "") return;
    setBody("");
    setProblem(undefined);
    try {
      await send({ body: text });
    } catch (error) {
      setProblem(`Not sent: ${reason(error)}`);
      // Nothing that was written meanwhile is overwritten.
      setBody((current) => current || text);
    }
  }

  function onKeyDown(event: KeyboardEvent) {
    // `isComposing`: Enter ends a word of an input method, and sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void submit();
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <label htmlFor="body">
        Your message <span className="as">as {identity === undefined ? "…" : author}</span>
      </label>
      <textarea
        id="body"
        name="body"
        rows={2}
        maxLength={LONGEST}
        placeholder="Hello, everybody"
        value={body}
        onChange={(event) => setBody(event.target.value)}
        onKeyDown={onKeyDown}
        aria-describedby={problem === undefined ? undefined : "send-problem"}
      />
      <button type="submit">Send</button>
      {problem !== undefined && (
        <p id="send-problem" role="alert" className="problem">
          {problem}
        </p>
      )}
    </form>
  );
}

function reason(error: unknown): string {
  if (!(error instanceof ConvexError)) return "the deployment refused it.";
  const { data } = error as ConvexError<{ message?: string } | string>;
  return typeof data === "string" ? data : (data.message ?? "the deployment refused it.");
}
