import { codeOf, NoAnswer, type Answer, type Outgoing } from "./transport.js";

/** Codes of a connection that was there and broke; others mean that there was none to begin with. */
const BROKEN = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

export async function sendByFetch(outgoing: Outgoing, given: typeof fetch | undefined, signal: AbortSignal): Promise<Answer> {
  const { url, headers, body } = outgoing;
  // Looked up at every call: Next.js puts its own in the place of the global one.
  const send = given ?? globalThis.fetch;
  // Followed, a redirect would take the session's token to wherever it points.
  const init: RequestInit = { method: "POST", headers, body, signal, redirect: "manual" };
  let response: Response;
  try {
    response = await send(url, takesNoStore() ? { ...init, cache: "no-store" } : init);
  } catch (error) {
    const code = codeOf(error);
    throw new NoAnswer(error, code === undefined || BROKEN.has(code));
  }
  return { status: response.status, text: await response.text() };
}

let noStoreIsTaken: boolean | undefined;

/** Some runtimes refuse any `cache` member, Cloudflare's older ones for instance. */
function takesNoStore(): boolean {
  if (noStoreIsTaken === undefined) {
    try {
      new Request("http://localhost", { cache: "no-store" });
      noStoreIsTaken = true;
    } catch {
      noStoreIsTaken = false;
    }
  }
  return noStoreIsTaken;
}
