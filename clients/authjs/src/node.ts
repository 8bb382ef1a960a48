import type { Agent } from "node:http";

import { codeOf, NoAnswer, type Answer, type Outgoing } from "./transport.js";

/** Codes of a connection that was there and broke. */
const BROKEN = new Set(["ECONNRESET", "EPIPE"]);

/** For a connection between two calls; as long as Node's `fetch` keeps one. Far below what the proxy and others close theirs after. */
const IDLE_MS = 4_000;

/** Sends by Node's own client, which costs the app's server much less CPU than its `fetch`: over TCP, or through a unix socket. */
export async function sendByNode(outgoing: Outgoing, socketPath: string | undefined, signal: AbortSignal): Promise<Answer> {
  const { url, headers, body, connection } = outgoing;
  const { protocol, hostname, port, host, pathname } = new URL(url);
  const id = protocol === "https:" && socketPath === undefined ? "node:https" : "node:http";
  const client = builtin(id)!;
  // A URL has an IPv6 address in brackets, a connection has not.
  const peer = socketPath === undefined ? { host: hostname.replace(/^\[|\]$/g, ""), port } : { socketPath };
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const sent = client.request({
      ...peer,
      method: "POST",
      path: pathname,
      // Nothing here would unpack an answer.
      headers: { ...headers, host, "accept-encoding": "identity" },
      agent: agentsOf(id, client)[connection],
      signal,
    });
    // A reset in the midst of an answer is told here too, before the response tells it.
    sent.on("error", (error) => reject(isAnswered ? error : new NoAnswer(error, BROKEN.has(codeOf(error) ?? ""))));
    // As when the other side changes the protocol: no error is told then.
    sent.once("close", () => isAnswered || reject(new NoAnswer(new Error("closed without an answer"), false)));
    sent.once("response", (response) => {
      isAnswered = true;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.end(body);
  });
}

type Agents = Record<Outgoing["connection"], Agent>;

const agents: { [Id in Builtin]?: Agents } = {};

/**
 * The package's own, as those that Node has for all may be set to go through a proxy.
 *
 * Idle connections do not keep the process alive: agents see to that.
 */
function agentsOf(id: Builtin, { Agent }: Client): Agents {
  return (agents[id] ??= { kept: new Agent({ keepAlive: true, timeout: IDLE_MS }), own: new Agent({ keepAlive: false }) });
}

type Builtin = "node:http" | "node:https";
/** Of `node:https` the same two are used, in the same way. */
type Client = Pick<typeof import("node:http"), "request" | "Agent">;

/**
 * A module of the running process, or undefined where there is none.
 *
 * It is asked of the process and never imported: a bundler for a runtime without it has then nothing to resolve, and needs no setting for it.
 */
function builtin(id: Builtin): Client | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (id: Builtin) => Client } };
  return process?.getBuiltinModule?.(id);
}

/** Whether there is a client that takes unix sockets. */
export function hasNodeHttp(): boolean {
  return builtin("node:http") !== undefined;
}

/**
 * Whether that client is Node's own: it has Node's parser.
 *
 * Deno, Bun and Cloudflare have modules of these names as well, made of other parts; of those it is not known here when they send again.
 */
export function isNode(): boolean {
  const { process } = globalThis as { process?: { versions?: Record<string, string | undefined> } };
  const { llhttp, deno, bun } = process?.versions ?? {};
  return llhttp !== undefined && deno === undefined && bun === undefined && hasNodeHttp();
}
