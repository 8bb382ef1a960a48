import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

export interface Received {
  path: string;
  headers: IncomingMessage["headers"];
  text: string;
  body: any;
  /** Counts the connections in the order of their arrival. */
  connection: number;
}

export type Respond = (received: Received, response: ServerResponse) => void;

export interface FakeProxy {
  url: string;
  received: Received[];
  /** Replaces what answers from now on. */
  respond: (respond: Respond) => void;
  /** How many are open. */
  connections: () => Promise<number>;
}

/** A real HTTP server that answers every request with `respond`, on a port of the system's choice or on a unix socket. */
export async function fakeProxy(t: TestContext, respond: Respond, socketPath?: string): Promise<FakeProxy> {
  const received: Received[] = [];
  const numbers = new Map<unknown, number>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const one: Received = {
      path: `${request.method} ${request.url}`,
      headers: request.headers,
      text,
      body: text === "" ? undefined : JSON.parse(text),
      connection: numbers.get(request.socket) ?? -1,
    };
    received.push(one);
    respond(one, response);
  });
  // A client that leaves idle connections open is to be seen.
  server.keepAliveTimeout = 0;
  server.on("connection", (socket) => numbers.set(socket, numbers.size));
  await new Promise<void>((resolve) => (socketPath ? server.listen(socketPath, resolve) : server.listen(0, "127.0.0.1", resolve)));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = socketPath ? "http://localhost" : `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connections = promisify(server.getConnections.bind(server));
  return { url, received, respond: (next) => (respond = next), connections };
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Answers 200 with what `answers` has for the last part of the path. */
export function answering(answers: Record<string, unknown>): Respond {
  return ({ path }, response) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name in answers) json(response, 200, answers[name]);
    else json(response, 404, { code: "NotFound", message: "no such function" });
  };
}
