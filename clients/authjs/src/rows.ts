import type {
  AdapterAccount,
  AdapterAuthenticator,
  AdapterSession,
  AdapterUser,
  VerificationToken,
} from "@auth/core/adapters" with { "resolution-mode": "import" };

import { ConvexAuthProxyError } from "./error.js";

type Row = Record<string, unknown>;

/** Makes of an answer's JSON what the `Adapter` interface promises: dates where it has them, and nowhere else. */
export class Rows {
  readonly #method: string;

  constructor(method: string) {
    this.#method = method;
  }

  user(answer: unknown): AdapterUser {
    const row = this.#row(answer);
    return { ...row, emailVerified: row.emailVerified == null ? null : this.#date(row, "emailVerified") } as unknown as AdapterUser;
  }

  session(answer: unknown): AdapterSession {
    return this.#expiring(answer) as unknown as AdapterSession;
  }

  sessionAndUser(answer: unknown): { session: AdapterSession; user: AdapterUser } {
    const { session, user } = this.#row(answer);
    return { session: this.session(session), user: this.user(user) };
  }

  verificationToken(answer: unknown): VerificationToken {
    return this.#expiring(answer) as unknown as VerificationToken;
  }

  account(answer: unknown): AdapterAccount {
    return this.#row(answer) as unknown as AdapterAccount;
  }

  authenticator(answer: unknown): AdapterAuthenticator {
    return this.#row(answer) as unknown as AdapterAuthenticator;
  }

  authenticators(answer: unknown): AdapterAuthenticator[] {
    if (!Array.isArray(answer)) throw this.#unreadable("a list");
    return answer.map((row) => this.authenticator(row));
  }

  #row(answer: unknown): Row {
    if (typeof answer !== "object" || answer === null || Array.isArray(answer)) throw this.#unreadable("an object");
    return answer as Row;
  }

  #expiring(answer: unknown): Row {
    const row = this.#row(answer);
    return { ...row, expires: this.#date(row, "expires") };
  }

  #date(row: Row, member: string): Date {
    const value = row[member];
    const date = new Date(typeof value === "string" || typeof value === "number" ? value : Number.NaN);
    if (Number.isNaN(date.getTime())) throw this.#unreadable(`a date in \`${member}\``);
    return date;
  }

  #unreadable(what: string): ConvexAuthProxyError {
    const message = `the answer lacks ${what} where the contract has one`;
    return new ConvexAuthProxyError({ code: "Unreadable", method: this.#method, status: 200, message });
  }
}
