/** The public listener's URL without a slash at its end: the given one, or the environment's. */
export function publicUrl(given: string | undefined): string {
  const url = given || urlOfEnvironment();
  if (!url) throw new Error("no URL of the proxy's public listener: set NEXT_PUBLIC_CONVEX_URL or give `url`");
  if (!/^https?:\/\//.test(url)) {
    throw new Error("NEXT_PUBLIC_CONVEX_URL (or `url`) must begin with http:// or https://");
  }
  return url.replace(/\/+$/, "");
}

// A bundler puts the value in the place of this very expression, and a browser without a bundler's `process` throws: so it is spelled
// out and caught.
function urlOfEnvironment(): string | undefined {
  try {
    return process.env.NEXT_PUBLIC_CONVEX_URL;
  } catch {
    return undefined;
  }
}
