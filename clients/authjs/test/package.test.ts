import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const run = promisify(execFile);
const node = (args: string[], cwd = here("..")) => run(process.execPath, args, { cwd });
const bin = (name: string) => createRequire(import.meta.url).resolve(name);

/** A project that has installed the package as npm would publish it. */
let project: string;
let tarball: string;
let installed: string;

before(async () => {
  project = mkdtempSync(join(tmpdir(), "consumer-"));
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], { cwd: here("..") });
  tarball = join(project, JSON.parse(stdout)[0].filename);
  installed = join(project, "node_modules", "convex-auth-proxy-adapter");
  mkdirSync(installed, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
  for (const peer of ["@auth", "convex", "next-auth", "react"]) {
    symlinkSync(here(`../node_modules/${peer}`), join(project, "node_modules", peer));
  }
});
after(() => rmSync(project, { recursive: true, force: true }));

const main = ["ConvexAuthProxyAdapter", "ConvexAuthProxyError", "convexToken", "sessionTokenFrom"];
const react = ["ConvexAuthProxyProvider", "createConvexAuthProxyHook", "useConvexAuthProxy"];

test("the package holds what it is built to and its README, and depends on nothing", () => {
  assert.deepEqual(readdirSync(installed).sort(), ["README.md", "dist", "package.json"]);
  const { dependencies, license, sideEffects } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  assert.deepEqual([dependencies, license, sideEffects], [undefined, "MIT OR Apache-2.0", false]);
});

test("an ES module imports both entries", async () => {
  const script = `
    import * as main from "convex-auth-proxy-adapter";
    import * as react from "convex-auth-proxy-adapter/react";
    console.log(JSON.stringify([Object.keys(main).sort(), Object.keys(react).sort()]));`;
  writeFileSync(join(project, "app.mjs"), script);
  assert.deepEqual(JSON.parse((await node(["app.mjs"], project)).stdout), [main, react]);
});

test("a CommonJS module requires the main entry, and it works there", async () => {
  const script = `
    const main = require("convex-auth-proxy-adapter");
    const adapter = main.ConvexAuthProxyAdapter({ url: "http://localhost", fetch: async () => new Response("null") });
    adapter.getUser("1").then((user) => console.log(JSON.stringify([Object.keys(main).sort(), user])));`;
  writeFileSync(join(project, "app.cjs"), script);
  assert.deepEqual(JSON.parse((await node(["app.cjs"], project)).stdout), [main, null]);
});

test("the main entry asks for no package at all", async () => {
  rmSync(join(project, "node_modules", "@auth"));
  await node(["app.cjs"], project);
  symlinkSync(here("../node_modules/@auth"), join(project, "node_modules", "@auth"));
});

test("in both kinds of module the React entry begins as a client's", () => {
  for (const kind of ["esm", "cjs"]) {
    const text = readFileSync(join(installed, "dist", kind, "react.js"), "utf8");
    assert.match(text, /^("use strict";\s*)?"use client";/);
  }
});

test("the types fit Auth.js, next-auth 5 and 4, Convex's provider, and both module systems", async () => {
  await node([bin("typescript/bin/tsc"), "-p", here("consumers")]);
});

test("what the exports name is what a resolver finds", async () => {
  const attw = here("../node_modules/@arethetypeswrong/cli/dist/index.js");
  const { stdout } = await node([attw, tarball, "--format", "json", "--no-color"]);
  const { problems } = JSON.parse(stdout);
  assert.deepEqual(problems ?? {}, {});
});
