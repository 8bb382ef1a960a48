// The two apps: the example as it is, and the same with guide/ laid over it. Copies in a temporary folder, built and started.

import { randomBytes } from "node:crypto";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { SECRET } from "./deployment.mjs";
import { run, start, temporaryDirectory, waitFor } from "./processes.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = join(HERE, "../../..");
const NOT_COPIED = /(^|\/)(node_modules|target|\.next[^/]*|\.env[^/]*\.local|[^/]*\.tsbuildinfo)$/;
const CLIENT = { id: "example", secret: "only-for-development" };
const NPM_CI = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];

/** Copies of the app with all that it needs, one for each subject: their folders, by name. The package for Auth.js is built where it is not. */
export async function copies(subjects) {
  const folder = temporaryDirectory();
  const client = join(folder, "clients/authjs");
  copy(join(ROOT, "clients/authjs"), client);
  if (!existsSync(join(client, "dist"))) {
    await run("npm", NPM_CI, { cwd: client });
    await run("npm", ["run", "build"], { cwd: client });
  }
  // There the app looks for the package: two folders up, in clients/.
  const example = join(folder, "apps/example");
  copy(join(ROOT, "examples/nextjs"), example);
  await run("npm", NPM_CI, { cwd: example });
  const folders = {};
  for (const { name, kind } of subjects) {
    const own = join(folder, "apps", name);
    // Hard links: half a gigabyte, which nobody writes to.
    await run("cp", ["-al", example, own], { cwd: folder });
    if (kind === "guide") overlay(join(HERE, "guide"), own);
    folders[name] = own;
  }
  return folders;
}

/** What is there already is replaced and not written to: other names may lead to the same file. */
function overlay(from, to) {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
    const source = join(entry.parentPath, entry.name);
    const target = join(to, relative(from, source));
    rmSync(target, { force: true });
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(source, target);
  }
}

function copy(from, to) {
  mkdirSync(to, { recursive: true });
  cpSync(from, to, { recursive: true, filter: (path) => !NOT_COPIED.test(path) });
}

/** `next build`. The URL that browsers use becomes part of it. */
export async function build(folder, convexUrl) {
  await run(process.execPath, ["node_modules/next/dist/bin/next", "build"], { cwd: folder, env: { NEXT_PUBLIC_CONVEX_URL: convexUrl } });
}

/** A port of loopback, kept from others until it is given up. */
export async function reservedPort() {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  return { port, giveUp: () => new Promise((resolve) => (server.listening ? server.close(resolve) : resolve())) };
}

export class App {
  #process;
  #reserved;
  #secret = randomBytes(32).toString("base64");

  /** @param {string} folder a copy that is built, or will be before it is started */
  constructor(folder, reserved) {
    this.folder = folder;
    this.#reserved = reserved;
    this.origin = `http://localhost:${reserved.port}`;
  }

  /** `next start`, anew where it runs. */
  async start(env) {
    await this.stop();
    await this.#reserved.giveUp();
    const all = { AUTH_SECRET: this.#secret, AUTH_URL: this.origin, EXAMPLE_MAILBOX: "1", ...env };
    const args = ["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", String(this.#reserved.port)];
    this.#process = start(process.execPath, args, { cwd: this.folder, env: all });
    const isUp = async () => (await fetch(`${this.origin}/signin`).catch(() => null))?.ok;
    await waitFor("the app starts", isUp, { process: this.#process });
  }

  /** Why a page failed stands there. */
  get log() {
    return this.#process?.output() ?? "";
  }

  stop() {
    return this.#process?.stop();
  }
}

/** What both apps are told of the deployment; the rest of the environment is the measurement's. */
export async function environment(kind, deployment) {
  if (kind === "proxy") {
    return { NEXT_PUBLIC_CONVEX_URL: deployment.url("public"), CONVEX_ADAPTER_URL: deployment.url("adapter") };
  }
  return {
    NEXT_PUBLIC_CONVEX_URL: deployment.url("deployment"),
    CONVEX_AUTH_ADAPTER_SECRET: SECRET,
    CONVEX_AUTH_PRIVATE_KEY: deployment.app.privateKey,
    CONVEX_SITE_URL: await deployment.issuer(),
    // The app is the example's, which asks for it when it starts. Nothing uses it.
    CONVEX_ADAPTER_URL: "http://127.0.0.1:9",
  };
}

/** The example's OpenID Connect provider for these apps: what they have to know of it. */
export async function startProvider(folder, origins) {
  const env = {
    OIDC_PORT: "0",
    OIDC_CLIENT_ID: CLIENT.id,
    OIDC_CLIENT_SECRET: CLIENT.secret,
    OIDC_REDIRECT_URIS: origins.map((origin) => `${origin}/api/auth/callback/local`).join(","),
  };
  const one = start(process.execPath, ["oidc/provider.mjs"], { cwd: folder, env });
  const issuer = await waitFor("the OIDC provider starts", () => /http:\/\/localhost:\d+(?= )/.exec(one.output())?.[0], { process: one });
  return { AUTH_OIDC_ISSUER: issuer, AUTH_OIDC_ID: CLIENT.id, AUTH_OIDC_SECRET: CLIENT.secret };
}

/** A PKCS#8 key in PEM, for both who sign. */
export async function privateKey() {
  return run(process.env.CONVEX_AUTH_PROXY_BIN, ["keygen", "--format", "pem"], { cwd: ROOT });
}
