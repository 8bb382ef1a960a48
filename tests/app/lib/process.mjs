// A program beside the proxy: started with an environment of its own, waited for, stopped by its id.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { privateDirectory, waitFor } from "../../e2e/lib/proxy.mjs";

const STOPPED_WITHIN_MS = 10_000;

/** What failing tests left behind. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/**
 * Starts `command` and waits until `isReady(output so far)` gives something. The child sees `env`, and of this process's environment
 * only what a program needs. `{ ready, output, stop }`: `ready` is what `isReady` gave, `output` what was written so far.
 */
export async function startProgram(what, [command, ...args], { env = {}, cwd = privateDirectory(), isReady, readyWithinMs = 30_000 }) {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, { cwd, env: { PATH, HOME, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  running.add(child);
  const program = { output: "", stop };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (program.output += text));
    stream.unref();
  }
  child.unref();
  child.on("close", () => running.delete(child));

  async function stop() {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const deadline = setTimeout(() => child.kill("SIGKILL"), STOPPED_WITHIN_MS);
    await ended;
    clearTimeout(deadline);
  }

  try {
    program.ready = await waitFor(
      `${what} gets ready`,
      () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        return isReady(program.output);
      },
      readyWithinMs,
    );
  } catch (error) {
    await stop();
    throw new Error(`${what}: ${error.message}\n${program.output}`);
  }
  return program;
}
