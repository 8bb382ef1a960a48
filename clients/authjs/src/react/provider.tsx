"use client";

import { ConvexProvider, type ConvexReactClient, type ConvexReactClientOptions } from "convex/react";
import { useInsertionEffect, useState, type ReactNode } from "react";

import { keep, newClient, retire } from "./client.js";
import { useSignedIn, type Who } from "./signed-in.js";
import { publicUrl } from "./url.js";

export interface ConvexAuthProxyProviderProps {
  /** The public listener's URL. Default: `NEXT_PUBLIC_CONVEX_URL`. */
  url?: string | undefined;
  /** For each `ConvexReactClient` that is made. A change makes no new one. */
  options?: ConvexReactClientOptions | undefined;
  children?: ReactNode;
}

/** A client, and who its socket speaks for as far as the page can know. */
interface Connection {
  url: string;
  client: ConvexReactClient;
  knows: Who;
}

/**
 * `ConvexProvider` with a client whose socket lives on the session cookie. To be put inside next-auth's `SessionProvider`.
 *
 * A socket knows the cookie with which it was opened. So there is a new client when somebody signs in without a page load; the one
 * before is closed once its mutations and actions are answered. A sign-out needs none: the proxy makes the socket anonymous itself.
 */
export function ConvexAuthProxyProvider({ url: given, options, children }: ConvexAuthProxyProviderProps): ReactNode {
  const url = publicUrl(given);
  const { who } = useSignedIn();
  const [connection, setConnection] = useState<Connection>(() => ({ url, client: newClient(url, options), knows: who }));

  let current = connection;
  if (connection.url !== url || isStrangerTo(connection, who)) {
    current = { url, client: newClient(url, options), knows: who };
  } else if (who !== undefined && connection.knows !== who) {
    // The first read of the session tells whose cookie the page came with; null afterwards is a sign-out.
    current = { ...connection, knows: who };
  }
  if (current !== connection) setConnection(current);

  const { client } = current;
  // Not an ordinary effect: StrictMode and a hidden <Activity> undo and redo those while the client stays in use.
  useInsertionEffect(() => {
    keep(client);
    return () => retire(client);
  }, [client]);

  return <ConvexProvider client={client}>{children}</ConvexProvider>;
}

function isStrangerTo({ knows }: Connection, who: Who): boolean {
  return who != null && knows !== undefined && knows !== who;
}
