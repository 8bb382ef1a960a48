// A cable with a switch: TCP from one port of loopback to another, byte for byte, that can be pulled out and put back.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * Listens on `port` (0: any) and carries each connection to `target`: `{ port, cut, mend, close }`. Cut, all connections are reset
 * and each new one ends at once, as with a machine that is there and a program that is not.
 */
export async function startSwitch(target, port = 0) {
  const open = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.resetAndDestroy();
    const far = connect(target, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  const cutAll = () => open.forEach((socket) => socket.resetAndDestroy());
  return {
    port: server.address().port,
    cut: () => {
      isCut = true;
      cutAll();
    },
    mend: () => void (isCut = false),
    close: () => {
      cutAll();
      server.close();
    },
  };
}
