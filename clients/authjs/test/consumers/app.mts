import type { Adapter } from "@auth/core/adapters";
import { Auth } from "@auth/core";
import NextAuth from "next-auth";
import {
  ConvexAuthProxyAdapter,
  ConvexAuthProxyError,
  convexToken,
  sessionTokenFrom,
  type ConvexAuthProxyOptions,
} from "convex-auth-proxy-adapter";

const options: ConvexAuthProxyOptions = { url: "http://localhost:8081", token: process.env.CONVEX_ADAPTER_TOKEN, fetch, timeoutMs: 1 };
const adapter: Adapter = ConvexAuthProxyAdapter(options);
NextAuth({ adapter: ConvexAuthProxyAdapter(), providers: [] });
void Auth(new Request("http://localhost"), { adapter, providers: [] });

// Each method is there, so none needs a question mark.
const found: { id: string; emailVerified: Date | null } | null = await ConvexAuthProxyAdapter().getUser("id");
const header: string | null = sessionTokenFrom("a=b");
const token: string | null = await convexToken(header, { ...options, forceRefresh: true });
const list: string | null = sessionTokenFrom({ getAll: () => [{ name: "a", value: "b" }] });
const { code, status, method, cause }: { code: string; status: number | undefined; method: string; cause?: unknown } =
  new ConvexAuthProxyError({ code: "c", method: "m", message: "t" });

// @ts-expect-error: a slip in an option's name is found
ConvexAuthProxyAdapter({ uri: "http://localhost" });
// @ts-expect-error: a session's token is text
void convexToken(1);
// @ts-expect-error: and the adapter's type is not just anything
NextAuth({ adapter: { getUser: () => 1 }, providers: [] });

export { found, token, list, code, status, method, cause };

declare const process: { env: Record<string, string | undefined> };
