import { Auth, type AuthConfig } from "@auth/core";
import type { Adapter } from "@auth/core/adapters";

const ORIGIN = "http://localhost:3000";

export interface LinkApp {
  /** The links that would have been sent, in order. */
  links: string[];
  events: string[];
  errors: Error[];
  handle: (request: Request) => Promise<Response>;
}

/** An app with Auth.js whose users sign in by a link. */
export function linkApp(adapter: Adapter): LinkApp {
  const [links, events, errors]: [string[], string[], Error[]] = [[], [], []];
  const note = (name: string) => () => void events.push(name);
  const config: AuthConfig = {
    adapter,
    basePath: "/api/auth",
    secret: "known to the app alone",
    trustHost: true,
    providers: [
      { id: "link", type: "email", name: "Link", maxAge: 600, sendVerificationRequest: ({ url }: { url: string }) => void links.push(url) } as never,
    ],
    events: { createUser: note("createUser"), updateUser: note("updateUser"), signIn: note("signIn") },
    logger: { error: (error) => errors.push(error), warn() {}, debug() {} },
  };
  return { links, events, errors, handle: (request) => Auth(request, config) };
}

/** A visitor of an app: requests and cookies, and no network between the two. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  constructor(private readonly app: LinkApp) {}

  get cookieHeader(): string {
    return [...this.#cookies].map((pair) => pair.join("=")).join("; ");
  }

  async visit(target: string, form?: Record<string, string>): Promise<Response> {
    const response = await this.app.handle(
      new Request(new URL(target, ORIGIN), {
        headers: { cookie: this.cookieHeader },
        ...(form ? { method: "POST", body: new URLSearchParams(form) } : {}),
      }),
    );
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split("; ");
      const equals = pair.indexOf("=");
      const [name, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
      if (value === "" || attributes.includes("Max-Age=0")) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  /** Asks for a link and follows it. */
  async signIn(email: string): Promise<void> {
    await this.#submit("/api/auth/signin/link", { email });
    await this.visit(this.app.links.at(-1)!);
  }

  async signOut(): Promise<void> {
    await this.#submit("/api/auth/signout", {});
  }

  async session(): Promise<any> {
    return (await this.visit("/api/auth/session")).json();
  }

  async #submit(target: string, form: Record<string, string>): Promise<void> {
    const { csrfToken } = (await (await this.visit("/api/auth/csrf")).json()) as { csrfToken: string };
    await this.visit(target, { ...form, csrfToken });
  }
}
