import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface RawServer {
  server: Server;
  url: string;
  /** How many requests were read whole. */
  requests: () => number;
}

/** A server of bytes: it reads a request whole, then does as told. */
export async function rawServer(t: TestContext, onRequest: (socket: Socket, nth: number) => void, host = "127.0.0.1"): Promise<RawServer> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let bytes = "";
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      bytes += chunk.toString("latin1");
      const length = Number(/content-length: (\d+)/i.exec(bytes)?.[1] ?? Number.NaN);
      const end = bytes.indexOf("\r\n\r\n") + 4 + length;
      if (!bytes.includes("\r\n\r\n") || bytes.length < end) return;
      bytes = bytes.slice(end);
      onRequest(socket, ++count);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, requests: () => count };
}

/** The URL of a port where a connection is neither taken nor refused: its process stands still, and its queue is full. */
export async function fullServer(t: TestContext): Promise<string> {
  const script = `
    const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      require("node:fs").writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [port] = await once(child.stdout, "data");
  const queued = Array.from({ length: 3 }, () => connect(Number(port), "127.0.0.1").on("error", () => {}));
  t.after(() => queued.forEach((socket) => socket.destroy()));
  await once(queued[1]!, "connect");
  return `http://127.0.0.1:${port}`;
}
