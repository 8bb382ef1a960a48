/**
 * Why a call is refused: codes for programs, sentences for people.
 *
 * A production deployment hides the message of an ordinary error; a `ConvexError` arrives whole. No sentence holds a value,
 * so that none ends up in a log.
 */
import { ConvexError } from "convex/values";

const sentences = {
  AccountLinkedToOther: "this account is linked to another user",
  AdapterSecretMissing: "the deployment has no environment variable CONVEX_AUTH_ADAPTER_SECRET",
  AdapterSecretWrong: "the secret is not the deployment's",
  AuthenticatorCounterLower: "the counter is lower than the stored one: the passkey may have been copied",
  AuthenticatorNotFound: "there is no authenticator with this credential id",
  AuthenticatorTaken: "another authenticator has this credential id",
  EmailTaken: "another user has this e-mail address",
  MessageLength: "A message has 1 to 1000 characters",
  SessionOwnerMismatch: "the session belongs to another user",
  SessionTokenTaken: "another session has this token",
  UserNotFound: "there is no user with this id",
} as const;

export type RefusalCode = keyof typeof sentences;

export function refusal(code: RefusalCode) {
  return new ConvexError({ code, message: sentences[code] });
}
