/**
 * What every call of this package fails with. No message holds a value of the call.
 *
 * `code` is the proxy's own (`UpstreamUnreachable`, `UserNotFound`, …), or one of these, made here:
 * - `Unreachable`: the connection failed; `cause` says how
 * - `Timeout`: no whole answer within `timeoutMs`
 * - `Unreadable`: the answer is not one of the proxy's
 * - `ConfigurationInvalid`: an option or a variable of the environment is missing or wrong
 * - `AdapterArgumentInvalid`: a value that JSON cannot carry, such as an invalid date; nothing was sent
 */
export class ConvexAuthProxyError extends Error {
  override readonly name = "ConvexAuthProxyError";
  readonly code: string;
  /** The HTTP status of the answer; undefined when there was none. */
  readonly status: number | undefined;
  /** The adapter's method, or `convexToken`. */
  readonly method: string;

  constructor(facts: { code: string; method: string; message: string; status?: number; cause?: unknown }) {
    super(`${facts.method}: ${facts.message}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.status = facts.status;
    this.method = facts.method;
  }
}
