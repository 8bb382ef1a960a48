/** One POST, ready to be sent. */
export interface Outgoing {
  url: string;
  headers: Record<string, string>;
  body: string;
  /**
   * A kept connection may be closed by the other side in the moment of its use, so only what may be sent again takes one.
   *
   * `fetch` cannot be told: it takes which it likes.
   */
  connection: "kept" | "own";
}

export interface Answer {
  status: number;
  text: string;
}

/** Thrown by a transport when the connection failed before the head of an answer. */
export class NoAnswer extends Error {
  /** Whether it broke while in use, as a kept connection does when the other side closes it in the same moment. */
  readonly isBroken: boolean;

  constructor(cause: unknown, isBroken: boolean) {
    super("no answer", { cause });
    this.isBroken = isBroken;
  }
}

/** The system's code of an error, such as `ECONNREFUSED`, or that of an error below it. */
export function codeOf(error: unknown): string | undefined {
  for (let depth = 0; depth < 4 && typeof error === "object" && error !== null; depth++) {
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    if (typeof code === "string") return code;
    error = cause;
  }
  return undefined;
}
