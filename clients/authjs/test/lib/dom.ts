// To be imported before React's DOM: it looks for a browser when it is loaded.
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><body></body>", { url: "http://localhost:3000/", pretendToBeVisual: true });
const put = (name: string, value: unknown) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
put("window", window);
put("document", window.document);
put("navigator", window.navigator);
put("IS_REACT_ACT_ENVIRONMENT", true);
// Node's would keep the process alive; next-auth does without.
put("BroadcastChannel", undefined);

export function dispatch(target: "window" | "document", type: string): void {
  (target === "window" ? window : window.document).dispatchEvent(new window.Event(type));
}
