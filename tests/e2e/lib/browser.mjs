// An app with Auth.js, and a browser that uses it: no network between them, only requests and cookies.

import { Auth } from "@auth/core";

import { APP_ORIGIN } from "./seed.mjs";

/** An app whose users sign in by a link in a mail. `mails` holds what was sent, `events` what happened, in order. */
export function magicLinkApp(adapter, config = {}) {
  const mails = [];
  const events = [];
  const errors = [];
  const note = (name) => (message) => void events.push({ name, ...message });
  const options = {
    adapter,
    basePath: "/auth",
    secret: "a secret of the app alone, which the proxy never sees",
    trustHost: true,
    providers: [
      {
        id: "mail",
        type: "email",
        name: "Mail",
        maxAge: 10 * 60,
        sendVerificationRequest: ({ identifier, url }) => void mails.push({ to: identifier, link: url }),
      },
    ],
    session: { strategy: "database" },
    events: Object.fromEntries(["signIn", "signOut", "createUser", "updateUser"].map((name) => [name, note(name)])),
    logger: { error: (error) => errors.push(error), warn() {}, debug() {} },
    ...config,
  };
  return { mails, events, errors, handle: (request) => Auth(request, options) };
}

/** One visitor of an app, with the cookies that the app has set. */
export class Browser {
  cookies = new Map();

  constructor(app) {
    this.app = app;
  }

  /** A request to the app: `{ status, location, json, setCookies }`. */
  async visit(target, form) {
    const request = new Request(new URL(target, APP_ORIGIN), {
      method: form ? "POST" : "GET",
      headers: { cookie: this.cookieHeader },
      ...(form ? { body: new URLSearchParams(form) } : {}),
    });
    const response = await this.app.handle(request);
    const setCookies = response.headers.getSetCookie();
    setCookies.forEach((line) => this.#keep(line));
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, location: response.headers.get("location"), json: isJson ? JSON.parse(text) : undefined, setCookies };
  }

  /** Asks for a link and follows it. */
  async signIn(email) {
    const asked = await this.#post("/auth/signin/mail", { email });
    const mail = this.app.mails.at(-1);
    const clicked = await this.visit(mail.link);
    return { asked, mail, clicked };
  }

  async signOut() {
    return this.#post("/auth/signout", {});
  }

  /** What `GET /auth/session` says. */
  async session() {
    return this.visit("/auth/session");
  }

  get cookieHeader() {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async #post(target, form) {
    const { json } = await this.visit("/auth/csrf");
    return this.visit(target, { ...form, csrfToken: json.csrfToken, callbackUrl: APP_ORIGIN });
  }

  #keep(line) {
    const [pair, ...attributes] = line.split("; ");
    const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    const isGone = value === "" || attributes.some((attribute) => /^max-age=0$/i.test(attribute));
    if (isGone) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}
