/** One POST, ready to be sent. */
export interface Outgoing {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** A mutation is sent once, whatever happens. */
  kind: "query" | "mutation";
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
