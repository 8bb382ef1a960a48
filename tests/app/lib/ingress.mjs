// What stands in front on one host, with the example's own files: only addresses are put in.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { send } from "../../e2e/lib/http.mjs";
import { privateDirectory } from "../../e2e/lib/proxy.mjs";
import { exampleFile } from "./app.mjs";
import { startProgram } from "./process.mjs";

const FOLDERS = [...(process.env.PATH ?? "").split(":"), "/usr/sbin"];

/** Whether that ingress is installed here. */
export function isInstalled(ingress) {
  return FOLDERS.some((folder) => existsSync(join(folder, ingress)));
}

/** nginx with `deploy/nginx.conf`, as a user of no rights could run it. */
export function startNginx({ listen, app, proxy }) {
  const directory = privateDirectory();
  const site = withAddresses(readFileSync(exampleFile("deploy/nginx.conf"), "utf8"), {
    "listen 80": `listen 127.0.0.1:${listen}`,
    "app.example.com": "localhost",
    "127.0.0.1:3000": `127.0.0.1:${app}`,
    "127.0.0.1:8080": `127.0.0.1:${proxy}`,
  });
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory}/${name};`);
  writeFileSync(join(directory, "site.conf"), site);
  writeFileSync(
    join(directory, "nginx.conf"),
    `master_process off; pid ${directory}/pid; error_log stderr; daemon off;
events {}
http { access_log off; ${paths.join(" ")} include ${directory}/site.conf; }
`,
  );
  return startProgram("nginx", ["nginx", "-p", directory, "-c", join(directory, "nginx.conf"), "-e", "stderr"], {
    env: { PATH: FOLDERS.join(":") },
    isReady: () => isAnswering(listen),
  });
}

/** Caddy with `deploy/Caddyfile`, whose own variables say where everything is. */
export function startCaddy({ listen, app, proxy }) {
  const directory = privateDirectory();
  // Of itself Caddy would listen for the whole network, and have an API on a port of its choice.
  const around = `{\n  admin off\n  default_bind 127.0.0.1\n}\nimport ${exampleFile("deploy/Caddyfile")}\n`;
  writeFileSync(join(directory, "Caddyfile"), around);
  return startProgram("Caddy", ["caddy", "run", "--adapter", "caddyfile", "--config", join(directory, "Caddyfile")], {
    env: {
      APP_ADDRESS: `http://localhost:${listen}`,
      APP_UPSTREAM: `127.0.0.1:${app}`,
      CONVEX_UPSTREAM: `127.0.0.1:${proxy}`,
      HOME: directory,
    },
    isReady: () => isAnswering(listen),
  });
}

/** `text` with each of the addresses replaced, wherever it stands; one that does not stand there fails. */
function withAddresses(text, addresses) {
  for (const [address, other] of Object.entries(addresses)) {
    assert.ok(text.includes(address), `the file does not hold ${address}`);
    text = text.replaceAll(address, other);
  }
  return text;
}

function isAnswering(port) {
  return send(`http://localhost:${port}/signin`).then(({ status }) => status === 200, () => false);
}
