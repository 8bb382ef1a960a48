import { ConvexProviderWithAuth, ConvexReactClient } from "convex/react";
import {
  ConvexAuthProxyProvider,
  createConvexAuthProxyHook,
  useConvexAuthProxy,
} from "convex-auth-proxy-adapter/react";

const useAuth = createConvexAuthProxyHook({ url: "http://localhost:8080" });
const client = new ConvexReactClient("http://localhost:8080");

export const pages = [
  <ConvexProviderWithAuth client={client} useAuth={useConvexAuthProxy} />,
  <ConvexProviderWithAuth client={client} useAuth={useAuth} />,
  <ConvexAuthProxyProvider>text</ConvexAuthProxyProvider>,
  <ConvexAuthProxyProvider url="http://localhost:8080" options={{ verbose: true }} />,
  // @ts-expect-error: a slip in a name is found
  <ConvexAuthProxyProvider uri="http://localhost:8080" />,
];
