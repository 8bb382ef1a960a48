/// <reference types="vite/client" />
import { convexTest, type TestConvex } from "convex-test";
import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";
import { expect, vi } from "vitest";
import { api } from "../convex/_generated/api";
import type { Doc, Id, TableNames } from "../convex/_generated/dataModel";
import type { RefusalCode } from "../convex/model/refusal";
import schema from "../convex/schema";

export const SECRET = "the secret of these tests";
export const HOUR = 3_600_000;

const modules = import.meta.glob("../convex/**/*.*s");

export type Deployment = TestConvex<typeof schema>;

/** An empty deployment that knows the secret and, like a real one, refuses transactions that are too large. */
export function deployment(): Deployment {
  vi.stubEnv("CONVEX_AUTH_ADAPTER_SECRET", SECRET);
  return convexTest({ schema, modules, transactionLimits: true });
}

type AdapterModule = typeof api.authAdapter;
export type FunctionName = keyof AdapterModule;

/** The adapter's functions with the right secret, as methods. */
export type Adapter = {
  [Name in FunctionName]: (
    args: Omit<FunctionArgs<AdapterModule[Name]>, "secret">,
  ) => Promise<FunctionReturnType<AdapterModule[Name]>>;
};

export function adapter(t: Deployment): Adapter {
  return new Proxy({} as Adapter, {
    get: (_, name: string) => (args: object) => call(t, name, { ...args, secret: SECRET }),
  });
}

/** Calls a function with these arguments and no others. */
export async function call(t: Deployment, name: string, args: object): Promise<unknown> {
  const reference: unknown = api.authAdapter[name as FunctionName];
  return /^(get|list)/.test(name)
    ? await t.query(reference as FunctionReference<"query">, args)
    : await t.mutation(reference as FunctionReference<"mutation">, args);
}

/** A row as an older schema, or another writer, left it: past every function. */
export function insert<Table extends TableNames>(
  t: Deployment,
  table: Table,
  row: Omit<Doc<Table>, "_id" | "_creationTime">,
): Promise<Id<Table>> {
  return t.run((ctx) => ctx.db.insert(table, row as never));
}

/** All rows of a table, oldest first. */
export function rows<Table extends TableNames>(t: Deployment, table: Table): Promise<Doc<Table>[]> {
  return t.run((ctx) => ctx.db.query(table).collect());
}

/** Deletes a row past every function, as the dashboard does. */
export function remove(t: Deployment, id: Id<TableNames>): Promise<void> {
  return t.run((ctx) => ctx.db.delete(id));
}

export async function expectRefusal(result: Promise<unknown>, code: RefusalCode) {
  await expect(result).rejects.toMatchObject({ data: { code } });
}

/** Lets two calls run at the same time: how many succeeded, and with which codes the others were refused. */
export async function race(...calls: Promise<unknown>[]) {
  const results = await Promise.allSettled(calls);
  const refused = results.filter((result) => result.status === "rejected");
  return {
    succeeded: results.length - refused.length,
    codes: refused.map((result) => result.reason.data?.code),
  };
}
