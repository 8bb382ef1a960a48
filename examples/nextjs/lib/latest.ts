import { useState } from "react";

/** What a query said last, while it says nothing: a new connection begins without answers, and a list should not blink. */
export function useLatest<Value>(value: Value | undefined, initial: Value | undefined): Value | undefined {
  const [latest, setLatest] = useState(initial);
  if (value !== undefined && value !== latest) setLatest(value);
  return value ?? latest;
}
