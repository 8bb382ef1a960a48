// One of those that are measured: its app, its deployment, and what is counted of both.

import { App, environment } from "./apps.mjs";
import { Deployment } from "./deployment.mjs";
import { FLOWS, round } from "./flows.mjs";
import { Visitor } from "./visitor.mjs";

const ADAPTER = "authAdapter:";

export class Subject {
  /** @param {{ name: string, kind: "guide" | "proxy", env: Record<string, string> }} what */
  constructor(what, folder, reserved, privateKey) {
    Object.assign(this, what);
    this.folder = folder;
    this.app = new App(folder, reserved);
    this.deployment = new Deployment({ origin: this.app.origin, privateKey });
  }

  /** The URL that becomes part of the build. */
  get convexUrl() {
    return this.deployment.url(this.kind === "proxy" ? "public" : "deployment");
  }

  /** A round in a browser of its own: what was counted, by flow. */
  async measure(browser, provider, { isQuick, tag }) {
    const results = {};
    const count = async (name, act, prepare) => void (results[name] = await this.#count(name, act, prepare));
    const still = () => this.deployment.stillCalls();
    await this.#start(provider);
    const context = await browser.newContext();
    try {
      await round({ visitor: new Visitor(context, this.app.origin), count, still, isQuick, tag });
    } finally {
      await context.close();
    }
    await this.app.stop();
    return results;
  }

  async stop() {
    await this.app.stop();
    await this.deployment.stop();
  }

  async #start(provider) {
    await this.app.stop();
    await this.deployment.start();
    await this.app.start({ ...(await environment(this.kind, this.deployment)), ...provider, ...this.env });
  }

  async #count(name, act, prepare = async () => {}) {
    try {
      await this.deployment.stillCalls();
      await prepare();
      const before = await this.#counts();
      const page = await act();
      await this.deployment.stillCalls();
      const counted = difference(before, await this.#counts());
      await page?.close();
      this.#check(name, counted);
      return counted;
    } catch (error) {
      throw new Error(`${this.name}, ${name}: ${error.message}\nthe app's log:\n${this.app.log.slice(-3_000)}`, { cause: error });
    }
  }

  async #counts() {
    const isProxy = this.kind === "proxy";
    return {
      calls: await this.deployment.calls(),
      tokensSigned: isProxy ? await this.deployment.tokensSigned() : await this.#tokensSignedByApp(),
      adapterRequests: isProxy ? await this.deployment.adapterRequests() : 0,
    };
  }

  async #tokensSignedByApp() {
    const response = await fetch(`${this.app.origin}/api/signatures`);
    if (!response.ok) throw new Error(`the app does not say how many tokens it has signed: ${response.status}`);
    return response.json();
  }

  #check(name, { adapterCalls }) {
    const { atLeast, isNone } = FLOWS.find((flow) => flow.name === name);
    if (isNone && adapterCalls !== 0) throw new Error(`the adapter's functions were called ${adapterCalls} times, and there is nobody`);
    if (!isNone && adapterCalls < atLeast[this.kind]) {
      throw new Error(`the adapter's functions were called ${adapterCalls} times, and ${atLeast[this.kind]} at least it takes`);
    }
  }
}

function difference(before, after) {
  const byFunction = {};
  for (const [name, number] of Object.entries(after.calls)) {
    const more = number - (before.calls[name] ?? 0);
    if (more > 0) byFunction[name] = more;
  }
  const isAdapter = ([name]) => name.startsWith(ADAPTER);
  const sum = (entries) => entries.reduce((total, [, number]) => total + number, 0);
  const entries = Object.entries(byFunction);
  return {
    adapterCalls: sum(entries.filter(isAdapter)),
    otherCalls: sum(entries.filter((entry) => !isAdapter(entry))),
    tokensSigned: after.tokensSigned - before.tokensSigned,
    adapterRequests: after.adapterRequests - before.adapterRequests,
    byFunction,
  };
}
