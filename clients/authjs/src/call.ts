import { ConvexAuthProxyError } from "./error.js";
import { sendByFetch } from "./fetch.js";
import { jsonOf } from "./json.js";
import { isNode, sendByNode } from "./node.js";
import { destinationOf, type ConvexAuthProxyOptions } from "./options.js";
import { codeOf, NoAnswer, type Answer, type Outgoing } from "./transport.js";

export interface Call {
  /** For errors: the method as the app knows it. */
  method: string;
  /** Below the listener's URL, without a slash at its start. */
  path: string;
  /** A mutation is sent once, whatever happens. */
  kind: "query" | "mutation";
  body: Record<string, unknown>;
}

/** Calls the proxy and gives the answer's JSON. Fails with a {@link ConvexAuthProxyError} and nothing else. */
export async function call(options: ConvexAuthProxyOptions, { method, path, kind, body }: Call): Promise<unknown> {
  const destination = destinationOf(options, method);
  const { token, socketPath, timeoutMs } = destination;
  const outgoing = {
    url: `${destination.url}/${path}`,
    headers: { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    body: jsonOf(body, method),
  };
  const byNode = socketPath !== undefined || (destination.fetch === undefined && isNode());
  const send = (connection: Outgoing["connection"], signal: AbortSignal) =>
    byNode
      ? sendByNode({ ...outgoing, connection }, socketPath, signal)
      : sendByFetch({ ...outgoing, connection }, destination.fetch, signal);
  const twice = async (signal: AbortSignal) => {
    if (kind === "mutation") return send("own", signal);
    try {
      return await send("kept", signal);
    } catch (error) {
      // The other kept ones may be broken too, as when the proxy was started anew.
      if (error instanceof NoAnswer && error.isBroken && !signal.aborted) return send("own", signal);
      throw error;
    }
  };
  return readAnswer(await within(timeoutMs, twice, method), method);
}

/** A transport that does not heed the signal is not waited for either. */
async function within(timeoutMs: number, send: (signal: AbortSignal) => Promise<Answer>, method: string): Promise<Answer> {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `no whole answer within ${timeoutMs} ms`;
      const cause = new DOMException("The operation timed out.", "TimeoutError");
      reject(new ConvexAuthProxyError({ code: "Timeout", method, message, cause }));
      abort.abort(cause);
    }, timeoutMs);
  });
  try {
    return await Promise.race([send(abort.signal), late]);
  } catch (error) {
    if (error instanceof ConvexAuthProxyError) throw error;
    const cause = error instanceof NoAnswer ? error.cause : error;
    throw new ConvexAuthProxyError({ code: "Unreachable", method, message: `the proxy did not answer${reasonOf(cause)}`, cause });
  } finally {
    clearTimeout(timer);
  }
}

/** The system's word, such as `ECONNREFUSED`: of all that an error says it is the part that never quotes the call. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === undefined ? "" : ` (${code})`;
}

function readAnswer({ status, text }: Answer, method: string): unknown {
  let answer: unknown;
  let isJson = true;
  try {
    answer = JSON.parse(text);
  } catch {
    isJson = false;
  }
  // The parser's own error is kept out: it quotes the answer.
  const unreadable = (what: string) => new ConvexAuthProxyError({ code: "Unreadable", method, status, message: what });
  if (status === 200) {
    if (isJson) return answer;
    throw unreadable("the answer is not JSON");
  }
  const refusal = isJson && typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  if (status < 400 || typeof refusal.code !== "string" || typeof refusal.message !== "string") {
    throw unreadable(`the answer, with status ${status}, is not one of the proxy's`);
  }
  throw new ConvexAuthProxyError({ code: refusal.code, method, status, message: refusal.message });
}
