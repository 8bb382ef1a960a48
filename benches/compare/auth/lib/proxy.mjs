// The proxy as an operator starts it, in front of the deployment and with the guide's own names in its environment.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { start, temporaryDirectory } from "./processes.mjs";

const BINARY = process.env.CONVEX_AUTH_PROXY_BIN;
/** `cache.ttl` of a proxy that is not told another. */
export const CACHE_TTL_MS = 2_000;

/** A pair for both who sign: the private half as PEM with its line breaks spelled out, the public half as a key set. */
export function makeKeys() {
  const printed = execFileSync(BINARY, ["keygen", "--alg", "RS256", "--format", "env"], { encoding: "utf8" });
  const privateKey = /^CONVEX_AUTH_PRIVATE_KEY="(.*)"$/m.exec(printed)?.[1];
  const jwks = /^JWKS=(.*)$/m.exec(printed)?.[1];
  if (privateKey === undefined || jwks === undefined) throw new Error("`keygen` does not print the two variables");
  return { privateKey, jwks };
}

/** `serve`, once it is ready: `{ running, options }`, the latter for the package in the app. */
export async function startProxy({ isUnix, deploymentUrl, secret, keys }) {
  // In directories of its own: no config.toml is to be found, and a socket must stand where only this user can reach it.
  const socketPath = isUnix ? join(temporaryDirectory(), "adapter.sock") : undefined;
  const running = start(BINARY, ["serve"], {
    cwd: temporaryDirectory(),
    env: {
      CONVEX_URL: deploymentUrl,
      // The issuer follows from it, so that both who sign write the same one.
      CONVEX_SITE_URL: deploymentUrl,
      CONVEX_AUTH_ADAPTER_SECRET: secret,
      CONVEX_AUTH_PRIVATE_KEY: keys.privateKey,
      JWKS: keys.jwks,
      CONVEX_AUTH_PROXY__LISTEN__PUBLIC: "127.0.0.1:0",
      CONVEX_AUTH_PROXY__LISTEN__ADAPTER: isUnix ? `unix:${socketPath}` : "127.0.0.1:0",
      CONVEX_AUTH_PROXY__LISTEN__ADMIN: "127.0.0.1:0",
      CONVEX_AUTH_PROXY__SESSION__ORIGINS: "http://localhost:3000",
      // Where it listens is told; a line for each request is not.
      CONVEX_AUTH_PROXY__LOG__LEVEL: "warn,listen=info",
    },
  });
  const addressOf = (listener) =>
    running.until(`the ${listener} listener`, () => new RegExp(`listener="${listener}" address=(\\S+)`).exec(running.output)?.[1]);
  const [adapter, admin] = [await addressOf("adapter"), await addressOf("admin")];
  const isReady = async () => (await fetch(`http://${admin}/readyz`, { signal: AbortSignal.timeout(1_000) }).catch(() => null))?.ok;
  await running.until("the proxy is ready", isReady);
  return { running, options: isUnix ? { socketPath } : { url: `http://${adapter}` } };
}
