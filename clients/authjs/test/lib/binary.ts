import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env.CONVEX_AUTH_PROXY_BIN;

/** For `test`'s options: a reason to leave tests out, or false. */
export const skip = BINARY ? false : "CONVEX_AUTH_PROXY_BIN names no binary of the proxy";

export interface RunningProxy {
  publicUrl: string;
  adapterUrl: string;
  /** Of the adapter listener, when it was asked for. */
  socketPath: string | undefined;
  stop: () => Promise<void>;
}

/** `convex-auth-proxy dev` on ports of the system's choice, once it has said where it listens. */
export async function startDev({ socket = false, env = {} }: { socket?: boolean; env?: Record<string, string> } = {}): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), "convex-auth-proxy-"));
  // In a folder that the proxy makes: it opens a socket in none that others may enter.
  const socketPath = socket ? join(folder, "run", "adapter.sock") : undefined;
  const child = spawn(BINARY!, ["dev"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      CONVEX_AUTH_PROXY__LISTEN__PUBLIC: "127.0.0.1:0",
      CONVEX_AUTH_PROXY__LISTEN__ADAPTER: socketPath === undefined ? "127.0.0.1:0" : `unix:${socketPath}`,
      CONVEX_AUTH_PROXY__LISTEN__ADMIN: "127.0.0.1:0",
      CONVEX_AUTH_PROXY__DEV__LISTEN: "127.0.0.1:0",
      ...env,
    },
  });
  let [said, log] = ["", ""];
  child.stderr.on("data", (chunk) => (log += chunk));
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`it ended with ${code}:\n${log}`);
  });
  ended.catch(() => {});
  const greeted = new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk) => {
      said += chunk;
      if (said.includes("Ctrl-C")) resolve();
    });
  });
  await Promise.race([greeted, ended]);
  const printed = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(said)![1]!;
  return {
    publicUrl: printed("NEXT_PUBLIC_CONVEX_URL"),
    adapterUrl: printed("CONVEX_ADAPTER_URL"),
    socketPath,
    async stop() {
      child.kill("SIGTERM");
      await ended.catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
