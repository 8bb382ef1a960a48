/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import type * as authAdapter from "../authAdapter.js";
import type * as cleanup from "../cleanup.js";
import type * as crons from "../crons.js";
import type * as demo from "../demo.js";
import type * as http from "../http.js";
import type * as model_accounts from "../model/accounts.js";
import type * as model_authenticators from "../model/authenticators.js";
import type * as model_cleanup from "../model/cleanup.js";
import type * as model_nulls from "../model/nulls.js";
import type * as model_refusal from "../model/refusal.js";
import type * as model_secret from "../model/secret.js";
import type * as model_sessions from "../model/sessions.js";
import type * as model_users from "../model/users.js";
import type * as model_verificationTokens from "../model/verificationTokens.js";

/**
 * A utility for referencing Convex functions in your app's API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
declare const fullApi: ApiFromModules<{
  authAdapter: typeof authAdapter;
  cleanup: typeof cleanup;
  crons: typeof crons;
  demo: typeof demo;
  http: typeof http;
  "model/accounts": typeof model_accounts;
  "model/authenticators": typeof model_authenticators;
  "model/cleanup": typeof model_cleanup;
  "model/nulls": typeof model_nulls;
  "model/refusal": typeof model_refusal;
  "model/secret": typeof model_secret;
  "model/sessions": typeof model_sessions;
  "model/users": typeof model_users;
  "model/verificationTokens": typeof model_verificationTokens;
}>;
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;
