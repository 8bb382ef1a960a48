// `node lib/ports.mjs COUNT` prints free ports of loopback, all different, on one line.

import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems give to outgoing connections: what is chosen now is bound minutes later. */
const [FIRST, LAST] = [15_000, 30_000];

const count = Number(process.argv[2]);
const found = new Set();
while (found.size < count) {
  const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
  const server = createServer();
  server.listen(port, "127.0.0.1");
  const isFree = await Promise.race([once(server, "listening").then(() => true), once(server, "error").then(() => false)]).catch(() => false);
  if (!isFree) continue;
  found.add(port);
  await once(server.close(), "close");
}
console.log([...found].join(" "));
