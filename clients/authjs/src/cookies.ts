/** The session cookie's names in Auth.js v5 and v4, in the proxy's order: of several that are present, the first listed counts. */
const SESSION_COOKIES = [
  "__Secure-authjs.session-token",
  "authjs.session-token",
  "__Secure-next-auth.session-token",
  "next-auth.session-token",
];

/** What `await cookies()` of Next.js gives, and anything like it. Its values are decoded already. */
export interface CookieList {
  getAll(): readonly { name: string; value: string }[];
}

/**
 * The session's token as the cookies have it, or `null`. The value of a cookie in chunks (`name.0`, `name.1`, …) is joined.
 *
 * Under the JWT strategy the value is an encrypted session, which is no token: the proxy knows none by it.
 *
 * @param cookies a `Cookie` header, or a list as Next.js has it
 * @param names the configured names, where an app changed them
 */
export function sessionTokenFrom(
  cookies: string | CookieList | null | undefined,
  names: readonly string[] = SESSION_COOKIES,
): string | null {
  const pairs = new Map<string, string>();
  for (const { name, value } of typeof cookies === "string" ? parse(cookies) : (cookies?.getAll() ?? [])) {
    if (!pairs.has(name)) pairs.set(name, value);
  }
  for (const name of names) {
    const token = join(pairs, name);
    if (token !== "") return token;
  }
  return null;
}

/** Like Auth.js's own parser, so that app and proxy never disagree: of two cookies with one name the first counts. */
function* parse(header: string): Generator<{ name: string; value: string }> {
  for (const piece of header.split(";")) {
    const equals = piece.indexOf("=");
    if (equals < 0) continue;
    yield { name: trim(piece.slice(0, equals)), value: decode(trim(piece.slice(equals + 1))) };
  }
}

function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Auth.js takes every cookie whose name begins with the session cookie's, in the order of the number after the last dot. */
function join(pairs: Map<string, string>, prefix: string): string {
  const chunks = [...pairs].filter(([name, value]) => name.startsWith(prefix) && value !== "");
  const number = (name: string) => Number.parseInt(name.split(".").pop() || "0");
  return chunks.sort(([one], [other]) => number(one) - number(other)).map(([, value]) => value).join("");
}
