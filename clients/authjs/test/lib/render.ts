import "./dom.js";

import { act, StrictMode, createElement, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import type { TestContext } from "node:test";

export interface Rendered {
  show: (node: ReactNode) => Promise<void>;
  unmount: () => Promise<void>;
  text: () => string;
}

export async function render(t: TestContext, node: ReactNode, { strict = false } = {}): Promise<Rendered> {
  const container = document.body.appendChild(document.createElement("div"));
  const root = createRoot(container);
  const wrap = (inner: ReactNode) => (strict ? createElement(StrictMode, null, inner) : inner);
  const show = (next: ReactNode) => act(async () => root.render(wrap(next)));
  const unmount = () => act(async () => root.unmount());
  t.after(unmount);
  await show(node);
  return { show, unmount, text: () => container.textContent ?? "" };
}

/** Lets React and promises go on until `condition` holds; fails after two seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 2_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not: ${what}`);
    await act(async () => new Promise((resolve) => setImmediate(resolve)));
  }
}
