// The example app and its OpenID Connect provider as processes.

import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";

import { send } from "../../e2e/lib/http.mjs";
import { startProgram } from "./process.mjs";

/** The app that is tried; a copy of it in the name of an experiment. */
const EXAMPLE = process.env.EXAMPLE_DIRECTORY ?? fileURLToPath(new URL("../../../examples/nextjs", import.meta.url));

const OIDC_CLIENT = { id: "journeys", secret: "a secret of the app and the provider alone" };

/** Where the example's own file of that name is. */
export function exampleFile(path) {
  return `${EXAMPLE}/${path}`;
}

/** The example's provider, for an app on `origin`: `{ issuer, stop }`. */
export async function startOidc(origin) {
  const provider = await startProgram("the OIDC provider", [process.execPath, exampleFile("oidc/provider.mjs")], {
    cwd: EXAMPLE,
    env: {
      OIDC_PORT: "0",
      OIDC_CLIENT_ID: OIDC_CLIENT.id,
      OIDC_CLIENT_SECRET: OIDC_CLIENT.secret,
      OIDC_REDIRECT_URIS: `${origin}/api/auth/callback/local`,
    },
    isReady: (output) => output.match(/http:\/\/localhost:\d+/)?.[0],
  });
  return { issuer: provider.ready, stop: provider.stop };
}

/** `next start` of the build in `distDir`, which browsers reach on `origin`: `{ output, stop }`. */
export function startApp({ origin, port, hostname, distDir, adapterUrl, issuer }) {
  const next = exampleFile("node_modules/next/dist/bin/next");
  return startProgram("the app", [process.execPath, next, "start", "-p", String(port), "-H", hostname], {
    cwd: EXAMPLE,
    env: {
      NEXT_DIST_DIR: distDir,
      NEXT_TELEMETRY_DISABLED: "1",
      // Set, if empty: a developer's own .env.local fills in what is not.
      AUTH_RESEND_KEY: "",
      AUTH_GITHUB_ID: "",
      CONVEX_ADAPTER_TOKEN: "",
      CONVEX_PUBLIC_URL_ON_SERVER: "",
      AUTH_URL: origin,
      AUTH_SECRET: randomBytes(33).toString("base64"),
      AUTH_OIDC_ISSUER: issuer,
      AUTH_OIDC_ID: OIDC_CLIENT.id,
      AUTH_OIDC_SECRET: OIDC_CLIENT.secret,
      CONVEX_ADAPTER_URL: adapterUrl,
      EXAMPLE_MAILBOX: "1",
    },
    isReady: () => send(`http://${hostname}:${port}/signin`).then(({ status }) => status === 200, () => false),
  });
}
