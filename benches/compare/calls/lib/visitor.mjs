// One person with a browser: its cookies serve the pages and the plain requests alike.

const SHOWN_WITHIN_MS = 20_000;
const SESSION_COOKIE = "authjs.session-token";
const PEOPLE = { nobody: "nobody", somebody: "known" };

export class Visitor {
  /** @param context a browser context without cookies */
  constructor(context, origin) {
    this.context = context;
    this.origin = origin;
  }

  // === pages, in the browser ===

  /** The board, once its live data and who Convex thinks one is are there. */
  async openBoard(who) {
    const page = await this.#open("/");
    await this.showsBoard(page, who);
    return page;
  }

  async showsBoard(page, who) {
    await shows(page, '[data-testid="connection"][data-state="connected"]');
    await shows(page, '[data-testid="messages"][data-state="loaded"]');
    await shows(page, `[data-testid="session"][data-state="${who === "somebody" ? "signed-in" : "nobody"}"]`);
    await shows(page, `[data-testid="whoami"][data-state="${PEOPLE[who]}"]`);
  }

  /** The protected page, once the server's and the socket's answers are there; whose it is, and which accounts are linked. */
  async openAccount() {
    const page = await this.#open("/account");
    const identity = page.locator('[data-testid="server-identity"]');
    const subject = await identity.getAttribute("data-subject", { timeout: SHOWN_WITHIN_MS });
    await shows(page, '[data-testid="session"][data-state="signed-in"]');
    const accounts = page.locator('[data-testid="account"]');
    return { page, subject, providers: await accounts.evaluateAll((all) => all.map(({ dataset }) => dataset.provider)) };
  }

  /** What Auth.js's session provider waits for. A headless browser has every tab in view, and so never says it. */
  async lookAt(page) {
    const answered = page.waitForResponse((response) => new URL(response.url()).pathname === "/api/auth/session");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await answered;
  }

  async signOut(page) {
    await page.getByRole("button", { name: "Sign out" }).click();
    await this.showsBoard(page, "nobody");
    await this.#mustBeSignedIn(false);
  }

  // === plain requests, with the browser's cookies ===

  /** The page's HTML alone. */
  async fetchBoard() {
    const response = await this.context.request.get(`${this.origin}/`);
    if (!response.ok()) throw new Error(`the board answered ${response.status()}`);
    const html = await response.text();
    if (!html.includes('data-state="signed-in"')) throw new Error("the board's HTML is not that of somebody who is signed in");
  }

  /** Asks for a link by letter. */
  async askForLink(email) {
    const next = await this.#begin("email", { email });
    if (!next.pathname.endsWith("/verify-request")) throw new Error(`asking for a link ended at ${next}`);
  }

  /** The link of the newest letter to that address. Read without cookies, so that no session is read. */
  async link(email) {
    const html = await (await fetch(`${this.origin}/mailbox`)).text();
    const link = new RegExp(`data-to="${email}".*?href="([^"]+)"`, "s").exec(html)?.[1];
    if (link === undefined) throw new Error(`there is no letter to ${email}`);
    return link.replaceAll("&amp;", "&");
  }

  /** Opens the link, and stays where it leads: the page there is another matter. */
  async click(link) {
    const next = redirected(await this.context.request.get(link, { maxRedirects: 0 }));
    if (next.pathname !== "/") throw new Error(`the link led to ${next}`);
    await this.#mustBeSignedIn(true);
  }

  /** Signs in as that person at the provider, or links the account while signed in. Stays where it ends, without the page there. */
  async signInAtProvider({ name, email }, to = "/") {
    const login = await this.context.request.get((await this.#begin("local", { callbackUrl: this.origin + to })).href);
    if (!login.ok()) throw new Error(`the provider answered ${login.status()}: ${await login.text()}`);
    let next = redirected(await this.context.request.post(login.url(), { form: { name, email }, maxRedirects: 0 }));
    while (next.origin !== this.origin || next.pathname.startsWith("/api/auth/callback/")) {
      next = redirected(await this.context.request.get(next.href, { maxRedirects: 0 }));
    }
    if (next.pathname !== to || next.search !== "") throw new Error(`the sign-in at the provider ended at ${next}`);
    await this.#mustBeSignedIn(true);
  }

  /** As if the browser had been another one: the session stays in the deployment. */
  forgetCookies() {
    return this.context.clearCookies();
  }

  async #open(path) {
    const page = await this.context.newPage();
    const response = await page.goto(this.origin + path);
    if (!response.ok()) throw new Error(`${path} answered ${response.status()}`);
    if (new URL(page.url()).pathname !== path) throw new Error(`${path} led to ${page.url()}`);
    return page;
  }

  /** Auth.js's own sign-in route, as the example's buttons use it: where it leads. */
  async #begin(provider, form) {
    const { csrfToken } = await (await this.context.request.get(`${this.origin}/api/auth/csrf`)).json();
    const response = await this.context.request.post(`${this.origin}/api/auth/signin/${provider}`, {
      form: { callbackUrl: `${this.origin}/`, ...form, csrfToken },
      maxRedirects: 0,
    });
    return redirected(response);
  }

  async #mustBeSignedIn(should) {
    const cookies = await this.context.cookies(this.origin);
    const is = cookies.some(({ name }) => name === SESSION_COOKIE);
    if (is !== should) throw new Error(`there is ${is ? "still a" : "no"} session cookie`);
  }
}

function redirected(response) {
  const { location } = response.headers();
  if (response.status() < 300 || response.status() > 399 || !location) {
    throw new Error(`${response.url()} answered ${response.status()} and leads nowhere`);
  }
  return new URL(location, response.url());
}

async function shows(page, selector) {
  await page.locator(selector).waitFor({ state: "visible", timeout: SHOWN_WITHIN_MS });
}
