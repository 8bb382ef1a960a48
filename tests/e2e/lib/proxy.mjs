// The binary as a process: started on free ports of loopback, waited for, stopped by SIGTERM.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { metricsOf, send } from "./http.mjs";

/** The binary that is tried. */
export const BINARY = findBinary();

const READY_WITHIN_MS = 15_000;
const STOPPED_WITHIN_MS = 15_000;
const POLL_EVERY_MS = 20;
/** A free port can be taken between being found and being bound. */
const START_ATTEMPTS = 3;

/** Processes that a failing test left behind. */
const running = new Set();
const directories = [];
process.on("exit", () => {
  running.forEach((child) => child.kill("SIGKILL"));
  directories.forEach((directory) => rmSync(directory, { recursive: true, force: true }));
});

/** `convex-auth-proxy dev`, ready. `env` holds what differs from the defaults. */
export function startDev(env = {}) {
  return start("dev", env);
}

/**
 * `convex-auth-proxy serve`, listening. `env` must name the deployment and hold the secret and the keys. With
 * `isReady: false` it is waited for until it lives, for deployments that will not answer.
 */
export function startServe(env, { isReady = true } = {}) {
  return start("serve", env, isReady ? "/readyz" : "/livez");
}

/** Runs the binary to its end: `{ code, stdout, stderr }`. */
export async function runToEnd(args, env = {}) {
  const child = spawnBinary(args, env);
  const deadline = setTimeout(() => child.process.kill("SIGKILL"), READY_WITHIN_MS);
  const [code, signal] = await child.ended;
  clearTimeout(deadline);
  assert.equal(signal, null, `${args.join(" ")} had to be killed`);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Ports of loopback that nobody listens on, all different. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => once(server.listen(0, "127.0.0.1"), "listening")));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** A directory of one's own, mode 0700, gone when the tests are. */
export function privateDirectory() {
  const directory = mkdtempSync(join(tmpdir(), "convex-auth-proxy-e2e-"));
  directories.push(directory);
  return directory;
}

/** Polls until `attempt` gives something, or fails after `withinMs`. */
export async function waitFor(what, attempt, withinMs = READY_WITHIN_MS) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await attempt();
    if (found) return found;
    assert.ok(performance.now() < deadline, `${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
  }
}

class Proxy {
  constructor(child, ports, env) {
    this.child = child;
    this.ports = ports;
    this.publicUrl = `http://localhost:${ports.public}${env.CONVEX_AUTH_PROXY__LISTEN__BASE_PATH ?? ""}`;
    this.adapterUrl = `http://localhost:${ports.adapter}`;
    this.adminUrl = `http://localhost:${ports.admin}`;
    this.deploymentUrl = `http://127.0.0.1:${ports.deployment}`;
  }

  get stdout() {
    return this.child.stdout;
  }

  /** The log. */
  get stderr() {
    return this.child.stderr;
  }

  /** What `dev` says the app must know. */
  get secret() {
    return this.printed("CONVEX_AUTH_ADAPTER_SECRET");
  }

  /** The value of a `NAME=value` line of the welcome text. */
  printed(name) {
    const line = this.stdout.split("\n").find((line) => line.startsWith(`${name}=`));
    assert.ok(line, `the welcome text has no ${name}`);
    return line.slice(name.length + 1);
  }

  /** The lines to paste, as `{ what, line }`. */
  get curlLines() {
    const lines = this.stdout.split("\n");
    return lines.flatMap((line, index) =>
      line.startsWith("curl ") ? [{ what: lines[index - 1].replace(/^# /, ""), line }] : [],
    );
  }

  /** The counters of this moment. */
  metrics() {
    return metricsOf(`${this.adminUrl}/metrics`);
  }

  /** Ends it in order, and fails when it does not end so. */
  async stop() {
    if (this.child.process.exitCode !== null) return;
    this.child.process.kill("SIGTERM");
    const deadline = setTimeout(() => this.child.process.kill("SIGKILL"), STOPPED_WITHIN_MS);
    const [code, signal] = await this.child.ended;
    clearTimeout(deadline);
    assert.equal(signal, null, `it did not end within ${STOPPED_WITHIN_MS} ms of SIGTERM`);
    assert.equal(code, 0, `exit code after SIGTERM; its log:\n${this.stderr}`);
  }
}

async function start(command, env, readyPath = "/readyz") {
  for (let attempt = 1; ; attempt += 1) {
    const [publicPort, adapter, admin, deployment] = await freePorts(4);
    const ports = { public: publicPort, adapter, admin, deployment };
    const child = spawnBinary([command], {
      CONVEX_AUTH_PROXY__LISTEN__PUBLIC: `127.0.0.1:${ports.public}`,
      CONVEX_AUTH_PROXY__LISTEN__ADAPTER: `127.0.0.1:${ports.adapter}`,
      CONVEX_AUTH_PROXY__LISTEN__ADMIN: `127.0.0.1:${ports.admin}`,
      CONVEX_AUTH_PROXY__DEV__LISTEN: `127.0.0.1:${ports.deployment}`,
      ...env,
    });
    const proxy = new Proxy(child, ports, env);
    try {
      await waitFor(`${command} gets ready; its log so far:\n${child.stderr}`, () => isUp(proxy, command, readyPath));
      return proxy;
    } catch (error) {
      child.process.kill("SIGKILL");
      const isPortTaken = /listens there already|in use/i.test(child.stderr);
      if (!isPortTaken || attempt === START_ATTEMPTS) {
        throw new Error(`${command} did not start: ${error.message}\n${child.stdout}\n${child.stderr}`);
      }
    }
  }
}

async function isUp(proxy, command, readyPath) {
  assert.equal(proxy.child.process.exitCode, null, "it has ended");
  if (command === "dev" && !proxy.stdout.includes("Ctrl-C")) return false;
  const answer = await send(`${proxy.adminUrl}${readyPath}`).catch(() => null);
  return answer?.status === 200;
}

function spawnBinary(args, env) {
  // Of the surroundings only what a program needs: a developer's own configuration must not show here.
  const kept = Object.fromEntries(["PATH", "HOME", "TMPDIR"].flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])));
  const child = spawn(BINARY, args, { cwd: privateDirectory(), env: { ...kept, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const output = { process: child, stdout: "", stderr: "", ended: once(child, "close") };
  running.add(child);
  child.on("close", () => running.delete(child));
  for (const stream of ["stdout", "stderr"]) {
    child[stream].setEncoding("utf8").on("data", (text) => {
      output[stream] += text;
    });
    child[stream].unref();
  }
  // One that a failed test left running must not keep this process: it is killed when this one ends.
  child.unref();
  return output;
}

function findBinary() {
  const named = process.env.CONVEX_AUTH_PROXY_BIN;
  const built = ["release", "debug"].map((profile) =>
    fileURLToPath(new URL(`../../../target/${profile}/convex-auth-proxy`, import.meta.url)),
  );
  const found = named || built.find((path) => existsSync(path));
  if (!found || !existsSync(found)) {
    throw new Error("there is no binary: run tests/e2e/run, or set CONVEX_AUTH_PROXY_BIN to one");
  }
  return found;
}
