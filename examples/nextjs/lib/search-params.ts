export type SearchParams = Promise<Record<string, string | string[] | undefined>>;

/** The first value: a name may stand in the query several times. */
export function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** A path of this app, whatever the query says: anybody can write a link to the sign-in page. */
export function ownPath(url: string | undefined): string {
  if (url === undefined) return "/";
  const base = "http://app.invalid";
  // Auth.js gives whole URLs. Of a foreign one the path is kept, which then is one of ours.
  const parsed = URL.canParse(url, base) ? new URL(url, base) : new URL(base);
  const path = parsed.pathname + parsed.search;
  return /^\/(?![/\\])/.test(path) ? path : "/";
}
