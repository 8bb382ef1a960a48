// Pages on `localhost`, bundled from `page/`, and a browser that shows them.

import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { chromium } from "playwright-core";

import { privateDirectory } from "./proxy.mjs";
import { SESSION_COOKIE } from "./seed.mjs";

/** Debian's. */
export const CHROMIUM = "/usr/bin/chromium";
export const hasChromium = existsSync(CHROMIUM);

/** Nothing but what the page does: no updates, no reports, no experiments. */
const QUIET = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-domain-reliability",
  "--no-default-browser-check",
];

/**
 * Serves `page/{name}.jsx` as `/{name}` on a free port: `{ origin, pointAt(convexUrl), close }`. `/sign-in/{session token}` sets the
 * session's cookie as Auth.js does.
 */
export async function servePages(names) {
  const scripts = new Map(await Promise.all(names.map(async (name) => [`/${name}.js`, await bundled(name)])));
  let convexUrl = "";
  const server = createServer(({ url }, response) => {
    const script = scripts.get(url);
    const [, signIn, sessionToken] = url.match(/^\/(sign-in)\/(.+)$/) ?? [];
    if (script) {
      response.setHeader("content-type", "text/javascript; charset=utf-8");
      response.end(script);
    } else if (signIn) {
      response.setHeader("set-cookie", `${SESSION_COOKIE}=${sessionToken}; Path=/; HttpOnly; SameSite=Lax`);
      response.end("signed in");
    } else if (scripts.has(`${url}.js`)) {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(
        `<!doctype html><link rel="icon" href="data:,"><body data-convex-url="${convexUrl}"><div id="root"></div><script src="${url}.js"></script>`,
      );
    } else {
      response.writeHead(404).end();
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    origin: `http://localhost:${server.address().port}`,
    pointAt: (url) => void (convexUrl = url),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A browser of its own with nothing kept from before. */
export function openBrowser() {
  return chromium.launchPersistentContext(privateDirectory(), {
    executablePath: CHROMIUM,
    headless: true,
    chromiumSandbox: false,
    args: QUIET,
  });
}

/** A browser for several people: each `newContext()` of it is a cookie jar of its own. */
export function launchBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, chromiumSandbox: false, args: QUIET });
}

/** A tab that counts its sync sockets: `{ page, sockets, failures }`. */
export async function openTab(browser) {
  const page = await browser.newPage();
  const tab = { page, sockets: [], failures: [] };
  page.on("websocket", (socket) => {
    tab.sockets.push(socket);
    socket.on("socketerror", (error) => tab.failures.push(error));
  });
  page.on("pageerror", (error) => tab.failures.push(error.message));
  return tab;
}

async function bundled(name) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../page/${name}.jsx`, import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    jsx: "automatic",
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  return outputFiles[0].text;
}
