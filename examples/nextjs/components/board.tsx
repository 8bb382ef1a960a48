"use client";

import { useQuery } from "convex/react";
import type { FunctionReturnType } from "convex/server";
import { useEffect, useRef } from "react";

import { api } from "@/convex/_generated/api";
import { useLatest } from "@/lib/latest";
import { Composer, isPending } from "./composer";
import { LocalTime } from "./local-time";

export type Message = FunctionReturnType<typeof api.demo.list>[number];

export function Board({ initial }: { initial: Message[] | undefined }) {
  const messages = useLatest(useQuery(api.demo.list), initial);
  const list = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const newest = messages?.at(-1)?._id;

  useEffect(() => {
    // Who reads further up is left there.
    if (isAtEnd.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [newest]);

  const noteScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = list.current!;
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };

  return (
    <section className="card board" aria-labelledby="board-title">
      <h2 id="board-title">Messages</h2>
      <div
        ref={list}
        className="messages"
        role="log"
        aria-live="polite"
        aria-label="Messages"
        tabIndex={0}
        onScroll={noteScroll}
        data-testid="messages"
        data-state={messages === undefined ? "loading" : "loaded"}
      >
        {messages === undefined ? (
          <p className="empty">Connecting…</p>
        ) : messages.length === 0 ? (
          <p className="empty">Nothing here yet. Write the first message.</p>
        ) : (
          <ol>
            {messages.map((message) => (
              <Row key={message._id} message={message} />
            ))}
          </ol>
        )}
      </div>
      <Composer />
    </section>
  );
}

function Row({ message: { _id, _creationTime, author, body } }: { message: Message }) {
  const pending = isPending(_id);
  return (
    <li data-testid="message" data-author={author} data-pending={pending || undefined}>
      <p className="meta">
        <b className={author === "anonymous" ? "nobody" : undefined}>{author}</b>
        {pending ? <span>sending…</span> : <LocalTime at={_creationTime} />}
      </p>
      <p className="body">{body}</p>
    </li>
  );
}
