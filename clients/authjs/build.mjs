import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");

rmSync(here("dist"), { recursive: true, force: true });
for (const [project, type] of [["tsconfig.json", "module"], ["tsconfig.cjs.json", "commonjs"]]) {
  execFileSync(process.execPath, [tsc, "-p", here(project)], { stdio: "inherit" });
  const folder = type === "module" ? "esm" : "cjs";
  // Node and TypeScript take the kind of a module from the nearest package.json.
  writeFileSync(here(`dist/${folder}/package.json`), `${JSON.stringify({ type, sideEffects: false })}\n`);
}
