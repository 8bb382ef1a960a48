/** What one request for a token came to. `mayHeal`: whether the same request may well succeed in a moment. */
export type TokenAnswer =
  | { kind: "token"; token: string; expiresAt: number }
  | { kind: "no-session" }
  | { kind: "failed"; mayHeal: boolean; reason: string };

const TIMEOUT_MS = 10_000;

/** Asks the public listener at `url` for the token of the session whose cookie the browser has. Never rejects. */
export async function askForToken(url: string, force: boolean, closed: AbortSignal): Promise<TokenAnswer> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  const timer = setTimeout(stop, TIMEOUT_MS);
  closed.addEventListener("abort", stop);
  if (closed.aborted) stop();
  try {
    const response = await fetch(`${url}/auth/token`, {
      method: "POST",
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      headers: { "content-type": "application/json" },
      body: force ? '{"forceRefresh":true}' : "{}",
      signal: abort.signal,
    });
    return read(response.status, await response.text());
  } catch {
    // A browser tells no more than that: neither status nor reason of an answer that it may not show to the page.
    const reason = "no answer. The proxy is down, or the page's origin is not in its `session.origins`";
    return { kind: "failed", mayHeal: true, reason };
  } finally {
    clearTimeout(timer);
    closed.removeEventListener("abort", stop);
  }
}

function read(status: number, text: string): TokenAnswer {
  const { token, expiresAt, code } = members(text);
  if (status === 200 && typeof token === "string" && token !== "" && typeof expiresAt === "number") {
    return { kind: "token", token, expiresAt };
  }
  if (status === 401 && code === "NoSession") return { kind: "no-session" };
  const mayHeal = status >= 500 || status === 408 || status === 429;
  return { kind: "failed", mayHeal, reason: `status ${status}${typeof code === "string" ? `, ${code}` : ""}` };
}

function members(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
