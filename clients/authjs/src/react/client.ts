import { ConvexReactClient, type ConvexReactClientOptions } from "convex/react";

/** How long a client that nobody uses any more waits for its answers. */
const LONGEST_WAIT_MS = 10_000;

const opened = new WeakSet<ConvexReactClient>();
const retiring = new WeakMap<ConvexReactClient, () => void>();

/**
 * A socket for a server, where a page is rendered once and no effect ever closes anything: a hook that asks for the connection's state
 * would open one for each rendering, and it would live as long as the process.
 */
class NeverOpened {
  readonly readyState = 0;
  send(): void {}
  close(): void {}
}

/** A client that can be told whether its socket was ever opened: to ask it anything would open one. */
export function newClient(url: string, options: ConvexReactClientOptions = {}): ConvexReactClient {
  if (typeof window === "undefined") {
    return new ConvexReactClient(url, { ...options, webSocketConstructor: NeverOpened as unknown as typeof WebSocket });
  }
  const webSocketConstructor = options.webSocketConstructor ?? globalThis.WebSocket;
  const construct = (constructor: typeof WebSocket, args: unknown[]) => {
    opened.add(client);
    return Reflect.construct(constructor, args) as WebSocket;
  };
  const client = new ConvexReactClient(url, { ...options, webSocketConstructor: new Proxy(webSocketConstructor, { construct }) });
  return client;
}

/** Closes the client once its mutations and actions are answered, or after ten seconds. */
export function retire(client: ConvexReactClient): void {
  let forget = () => {};
  const close = () => {
    keep(client);
    void client.close();
    opened.delete(client);
  };
  const timer = setTimeout(close, LONGEST_WAIT_MS);
  // Not at once: components that go away at the same time unsubscribe first.
  const soon = setTimeout(() => {
    if (!opened.has(client)) return close();
    const closeWhenIdle = () => {
      const { inflightMutations, inflightActions } = client.connectionState();
      if (inflightMutations === 0 && inflightActions === 0) close();
    };
    forget = client.subscribeToConnectionState(closeWhenIdle);
    closeWhenIdle();
  }, 0);
  retiring.set(client, () => {
    clearTimeout(timer);
    clearTimeout(soon);
    forget();
  });
}

/** Takes a retirement back, where it was not carried out yet. */
export function keep(client: ConvexReactClient): void {
  retiring.get(client)?.();
  retiring.delete(client);
}
