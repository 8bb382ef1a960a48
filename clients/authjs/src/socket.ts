import type { Agent } from "node:http";

import { codeOf, NoAnswer, type Answer, type Outgoing } from "./transport.js";

let keptAlive: Agent | undefined;

/** Sends through a unix socket. */
export async function sendBySocket(outgoing: Outgoing, socketPath: string, signal: AbortSignal): Promise<Answer> {
  const { request, Agent } = nodeHttp()!;
  const { url, headers, body, kind } = outgoing;
  const { hostname, port, pathname } = new URL(url);
  keptAlive ??= new Agent({ keepAlive: true, maxFreeSockets: 16 });
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      method: "POST",
      path: pathname,
      headers: { ...headers, host: port ? `${hostname}:${port}` : hostname },
      // A kept connection may be closed by the other side in the moment of its use. A query is then sent again; a mutation must not
      // be, so it takes a connection of its own.
      agent: kind === "query" ? keptAlive : false,
      signal,
    });
    sent.on("error", (error) => reject(new NoAnswer(error, ["ECONNRESET", "EPIPE"].includes(codeOf(error) ?? ""))));
    sent.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.end(body);
  });
}

/**
 * Node's `http`, or undefined where there is none.
 *
 * It is asked of the running process and never imported: a bundler for a runtime without `node:http` has then nothing to resolve, and
 * needs no setting for it.
 */
export function nodeHttp(): typeof import("node:http") | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (id: "node:http") => typeof import("node:http") } };
  return process?.getBuiltinModule?.("node:http");
}
