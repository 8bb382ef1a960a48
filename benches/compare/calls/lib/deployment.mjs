// `convex-auth-proxy dev`: the proxy and the deployment that counts its calls.

import { pause, start, temporaryDirectory, waitFor } from "./processes.mjs";

/** How long nothing may be called for a flow to be over. */
const STILL_MS = 1_000;
const STILL_WITHIN_MS = 30_000;
const LISTENERS = { public: "LISTEN__PUBLIC", adapter: "LISTEN__ADAPTER", admin: "LISTEN__ADMIN", deployment: "DEV__LISTEN" };

export const SECRET = "a secret that only this measurement knows";

export class Deployment {
  #process;
  #addresses = Object.fromEntries(Object.keys(LISTENERS).map((name) => [name, "127.0.0.1:0"]));
  #directory = temporaryDirectory();

  /** @param {{ origin: string, privateKey: string }} app the app's origin, and the key that it signs with where it does */
  constructor(app) {
    this.app = app;
  }

  /** Anew it is empty, at the addresses that it had. */
  async start() {
    await this.#process?.stop();
    const listen = Object.entries(LISTENERS).map(([name, key]) => [`CONVEX_AUTH_PROXY__${key}`, this.#addresses[name]]);
    const env = {
      ...Object.fromEntries(listen),
      CONVEX_AUTH_ADAPTER_SECRET: SECRET,
      CONVEX_AUTH_PRIVATE_KEY: this.app.privateKey,
      CONVEX_AUTH_PROXY__SESSION__ORIGINS: this.app.origin,
      CONVEX_AUTH_PROXY__LOG__LEVEL: "warn",
    };
    this.#process = start(process.env.CONVEX_AUTH_PROXY_BIN, ["dev"], { cwd: this.#directory, env });
    await waitFor("the deployment starts", () => this.#process.output().includes("Ctrl-C"), { process: this.#process });
    for (const name of Object.keys(LISTENERS)) {
      const address = new RegExp(`^ *${name} +(\\S+)$`, "m").exec(this.#process.output())?.[1];
      if (address === undefined) throw new Error(`\`dev\` does not say where it has the ${name} listener`);
      this.#addresses[name] = address;
    }
    await this.calls();
  }

  /** As browsers and the app reach it: cookies are bound to the host's name. */
  url(listener) {
    return `http://${this.#addresses[listener].replace("127.0.0.1", "localhost")}`;
  }

  /** `iss` of the tokens that the deployment takes. */
  async issuer() {
    return (await json(`${this.url("public")}/.well-known/openid-configuration`)).issuer;
  }

  /** How often each function was called since the start, by `module:function`. */
  async calls() {
    return json(`${this.url("deployment")}/_dev/calls`);
  }

  /** Tokens that the proxy has signed since the start. */
  async tokensSigned() {
    return this.#metric('convex_auth_proxy_tokens_total{outcome="signed"}');
  }

  /** Requests to the adapter listener since the start. */
  async adapterRequests() {
    return this.#metric("convex_auth_proxy_requests_total{", 'listener="adapter"');
  }

  /** The counts once none has changed for a while. */
  async stillCalls() {
    const deadline = performance.now() + STILL_WITHIN_MS;
    let [counts, since] = [await this.calls(), performance.now()];
    for (;;) {
      await pause(100);
      const now = await this.calls();
      if (JSON.stringify(now) !== JSON.stringify(counts)) [counts, since] = [now, performance.now()];
      if (performance.now() - since >= STILL_MS) return counts;
      if (performance.now() > deadline) throw new Error(`the deployment is called without end: ${JSON.stringify(counts)}`);
    }
  }

  stop() {
    return this.#process?.stop();
  }

  async #metric(start, ...parts) {
    const lines = (await (await fetch(`${this.url("admin")}/metrics`)).text()).split("\n");
    const counted = lines.filter((line) => line.startsWith(start) && parts.every((part) => line.includes(part)));
    return counted.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }
}

async function json(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}: a binary from before it had that?`);
  return response.json();
}
