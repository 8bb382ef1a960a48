"use client";

import { useSyncExternalStore } from "react";

const never = () => () => {};

/** In the reader's time zone, which the server does not know: it writes nothing and leaves the room. */
export function LocalTime({ at }: { at: number }) {
  const text = useSyncExternalStore(
    never,
    () => new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(at),
    () => "\u00a0",
  );
  return <time dateTime={new Date(at).toISOString()}>{text}</time>;
}
