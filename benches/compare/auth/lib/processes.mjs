// Processes that this measurement starts and that end with it: programs, and Node scripts that are asked things.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ANSWER_WITHIN_MS = 20_000;
const POLL_EVERY_MS = 50;
const OUTPUT_KEPT = 64_000;
const OUTPUT_SHOWN = 4_000;

const running = new Set();
const directories = [];
process.on("exit", () => {
  running.forEach((one) => one.child.kill("SIGKILL"));
  directories.forEach((directory) => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** A directory that only this user can enter, and that is gone when the measurement is. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), "convex-auth-proxy-auth-"));
  directories.push(directory);
  return directory;
}

/** A program, with of the surroundings only what it needs. */
export function start(command, args, { cwd, env = {}, stdio = ["ignore", "pipe", "pipe"] }) {
  const kept = ["PATH", "HOME", "TMPDIR"].filter((name) => name in process.env);
  const surroundings = Object.fromEntries(kept.map((name) => [name, process.env[name]]));
  // Detached: a terminal's Ctrl-C comes to the measurement alone, which then ends the others.
  return new Running(spawn(command, args, { cwd, env: { ...surroundings, ...env }, stdio, detached: true }));
}

/** A script of this folder in a process of its own, as an app in production has it. It answers what it is asked, see {@link answerParent}. */
export function startScript(name) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  return start(process.execPath, [path], { env: { NODE_ENV: "production" }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
}

class Running {
  #output = "";

  constructor(child) {
    this.child = child;
    this.isRunning = true;
    running.add(this);
    const onEnd = (failed) => {
      this.#output += failed?.message ?? "";
      this.isRunning = false;
      running.delete(this);
    };
    this.ended = once(child, "close").then(() => onEnd(), onEnd);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (more) => (this.#output = (this.#output + more).slice(-OUTPUT_KEPT)));
    }
  }

  get output() {
    return this.#output;
  }

  /** Asks a script, one thing at a time. Fails when the script fails, ends, or does not answer in time. */
  async ask(what, about = {}, withinMs = ANSWER_WITHIN_MS) {
    const stop = new AbortController();
    const giveUp = (why) => stop.abort(why);
    const late = setTimeout(giveUp, withinMs, `no answer within ${withinMs} ms`);
    this.ended.then(() => giveUp("its process has ended"));
    this.child.send({ what, about }, (error) => error && giveUp("its process has ended"));
    let message;
    try {
      [message] = await once(this.child, "message", { signal: stop.signal });
    } catch (error) {
      throw this.failure(`${what}: ${stop.signal.reason ?? error.message}`);
    } finally {
      clearTimeout(late);
    }
    if (message.error !== undefined) throw this.failure(`${what}: ${message.error}`);
    return message.answer;
  }

  /** Polls until `attempt` gives something; fails when the process ends or time is up. */
  async until(what, attempt, withinMs = ANSWER_WITHIN_MS) {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const found = await attempt();
      if (found) return found;
      if (!this.isRunning) throw this.failure(`${what}: its process has ended`);
      if (performance.now() > deadline) throw this.failure(`${what}: not within ${withinMs} ms`);
      await pause(POLL_EVERY_MS);
    }
  }

  /** Nanoseconds that each of its threads has run, user and system. The ticks of /proc/PID/stat are too coarse. */
  threadTimes() {
    const folder = `/proc/${this.child.pid}/task`;
    const times = new Map();
    for (const thread of readdirSync(folder)) {
      try {
        times.set(thread, Number(readFileSync(join(folder, thread, "schedstat"), "utf8").split(" ")[0]));
      } catch {
        // It ended in this very moment.
      }
    }
    return times;
  }

  failure(message) {
    return new Error(`${message}\n${this.#output.slice(-OUTPUT_SHOWN)}`.trimEnd());
  }
}

/** Milliseconds that the threads ran between two looks at them. What a thread ran that ended in between is not seen. */
export function msBetween(before, after) {
  let ns = 0;
  for (const [thread, time] of after) ns += time - (before.get(thread) ?? 0);
  return ns / 1e6;
}

/** For a script: answers its parent's questions by these functions, and ends when the parent has. */
export function answerParent(functions) {
  process.on("disconnect", () => process.exit());
  process.on("message", async ({ what, about }) => {
    try {
      process.send({ answer: await functions[what](about) });
    } catch (error) {
      process.send({ error: error?.stack ?? String(error) });
    }
  });
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
