// Processes that this measurement starts, and that end with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const POLL_EVERY_MS = 50;
const LOG_SHOWN = 4_000;

const running = new Set();
const directories = [];
process.on("exit", () => {
  running.forEach(({ child }) => kill(child, "SIGKILL"));
  directories.forEach((directory) => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** A directory that is gone when the measurement is. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), "convex-auth-proxy-calls-"));
  directories.push(directory);
  return directory;
}

/** A process in a group of its own, with of the surroundings only what a program needs: `{ output(), ended, stop() }`. */
export function start(command, args, { cwd, env = {} }) {
  const kept = ["PATH", "HOME", "TMPDIR"].filter((name) => name in process.env);
  const child = spawn(command, args, {
    cwd,
    env: { ...Object.fromEntries(kept.map((name) => [name, process.env[name]])), NEXT_TELEMETRY_DISABLED: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const one = { child, output: () => text, ended: once(child, "close"), stop: () => stop(one) };
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (more) => (text += more));
  running.add(one);
  child.on("close", () => running.delete(one));
  return one;
}

/** Runs a command to its end; what it printed. */
export async function run(command, args, options) {
  const one = start(command, args, options);
  const [code, signal] = await one.ended;
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code ?? signal}:\n${tail(one)}`);
  return one.output();
}

/** Polls until `attempt` gives something; fails after `withinMs`, or when the process that is waited for has ended. */
export async function waitFor(what, attempt, { withinMs = 20_000, process: one } = {}) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await attempt();
    if (found) return found;
    const hasEnded = one !== undefined && !running.has(one);
    if (hasEnded || performance.now() > deadline) {
      const why = hasEnded ? "its process has ended" : `not within ${withinMs} ms`;
      throw new Error(`${what}: ${why}${one === undefined ? "" : `\n${tail(one)}`}`);
    }
    await pause(POLL_EVERY_MS);
  }
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tail({ output }) {
  return output().slice(-LOG_SHOWN);
}

async function stop(one) {
  if (!running.has(one)) return;
  kill(one.child, "SIGTERM");
  const deadline = setTimeout(() => kill(one.child, "SIGKILL"), 10_000);
  await one.ended;
  clearTimeout(deadline);
}

function kill({ pid }, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}
