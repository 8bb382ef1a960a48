import { fileURLToPath } from "node:url";
import { PHASE_DEVELOPMENT_SERVER, PHASE_PRODUCTION_BUILD } from "next/constants.js";

const root = fileURLToPath(new URL(".", import.meta.url));

/** @returns {import("next").NextConfig} */
export default function config(/** @type {string} */ phase) {
  if (phase === PHASE_DEVELOPMENT_SERVER || phase === PHASE_PRODUCTION_BUILD) checkPublicUrl();
  return {
    // For builds that live side by side: the public URL is part of a build.
    distDir: process.env.NEXT_DIST_DIR || ".next",
    // There are lock files further up; without these two Next.js guesses which one is the app's.
    outputFileTracingRoot: root,
    turbopack: { root },
    poweredByHeader: false,
  };
}

/** Next.js writes the value into the browser's bundle, so a missing one would show only in browsers. */
function checkPublicUrl() {
  const url = process.env.NEXT_PUBLIC_CONVEX_URL;
  if (!url) {
    throw new Error("NEXT_PUBLIC_CONVEX_URL is not set: the proxy's public listener as browsers reach it, http://localhost:8080 with `dev`. It is built in, so it must be there now.");
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new Error("NEXT_PUBLIC_CONVEX_URL must be a URL that begins with http:// or https://");
  }
  if (/^(127\.|\[)/.test(new URL(url).hostname)) {
    console.warn("NEXT_PUBLIC_CONVEX_URL names an IP address. Cookies belong to a host's name: at http://localhost:3000 nobody would be signed in. Write localhost.");
  }
}
