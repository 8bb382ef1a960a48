import { ConvexAuthProxyError } from "./error.js";
import { hasNodeHttp } from "./node.js";

export interface ConvexAuthProxyOptions {
  /** The adapter listener's URL, with a path where it has one. Default: the environment's `CONVEX_ADAPTER_URL`. */
  url?: string | undefined;
  /** One of the proxy's `adapter.tokens`. Default: the environment's `CONVEX_ADAPTER_TOKEN`; none is sent without. */
  token?: string | undefined;
  /** Sends every call. Default: Node's own HTTP client, elsewhere the global `fetch`. Not together with `socketPath`. */
  fetch?: typeof fetch | undefined;
  /** The adapter listener's unix socket. Node only; `url` then gives no more than `Host` and path, and may be left out. */
  socketPath?: string | undefined;
  /** Milliseconds for one call, from the first byte sent to the last byte read. Default: 10 000. */
  timeoutMs?: number | undefined;
}

/** Where a call goes and how: the options once they are known to be right. */
export interface Destination {
  /** Without a slash at its end. */
  url: string;
  token: string | undefined;
  fetch: typeof fetch | undefined;
  socketPath: string | undefined;
  timeoutMs: number;
}

/** The longest delay that timers take; a longer one would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Read at every call, not at import: `next build` imports the app's configuration where the variables may not be set.
 */
export function destinationOf(options: ConvexAuthProxyOptions, method: string): Destination {
  const refuse = (message: string) => new ConvexAuthProxyError({ code: "ConfigurationInvalid", method, message });
  const { socketPath, timeoutMs = 10_000 } = options;
  if (socketPath !== undefined && options.fetch !== undefined) {
    throw refuse("`socketPath` and `fetch` exclude each other");
  }
  if (socketPath !== undefined && !hasNodeHttp()) throw refuse("`socketPath` needs Node.js 20.16 or later");
  if (!(timeoutMs > 0 && timeoutMs <= LONGEST_TIMEOUT_MS)) {
    throw refuse("`timeoutMs` must be a number of milliseconds above 0 and below 2^31");
  }
  const given = options.url || urlOfEnvironment() || (socketPath === undefined ? undefined : "http://localhost");
  if (given === undefined) {
    throw refuse("no URL of the proxy's adapter listener: set CONVEX_ADAPTER_URL or give `url` (or `socketPath`)");
  }
  const token = options.token || tokenOfEnvironment() || undefined;
  // A runtime would refuse the header, with the token in its message.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw refuse("CONVEX_ADAPTER_TOKEN (or `token`) has a character that no header takes, such as a blank or a line break");
  }
  return {
    url: httpUrl(given, refuse),
    token,
    fetch: options.fetch,
    socketPath,
    timeoutMs,
  };
}

function httpUrl(given: string, refuse: (message: string) => Error): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw refuse("CONVEX_ADAPTER_URL (or `url`) is not a URL; write http://127.0.0.1:8081, for example");
  }
  if (url.protocol === "unix:") {
    throw refuse("CONVEX_ADAPTER_URL (or `url`) must be http:// or https://; a unix socket is given as `socketPath`");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refuse("CONVEX_ADAPTER_URL (or `url`) must begin with http:// or https://");
  }
  if (url.username || url.password || url.search || url.hash) {
    throw refuse("CONVEX_ADAPTER_URL (or `url`) must have no user, query or fragment; a caller's token is given as `token`");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

// Bundlers put values in the place of these very expressions, and a runtime without `process` throws: so they are spelled out and caught.
function urlOfEnvironment(): string | undefined {
  try {
    return process.env.CONVEX_ADAPTER_URL;
  } catch {
    return undefined;
  }
}

function tokenOfEnvironment(): string | undefined {
  try {
    return process.env.CONVEX_ADAPTER_TOKEN;
  } catch {
    return undefined;
  }
}
