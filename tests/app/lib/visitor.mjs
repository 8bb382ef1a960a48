// Somebody with a browser: a cookie jar and its tabs, which note all that the pages do.

import assert from "node:assert/strict";

/** How long a page may take to show something. */
const SHOWN_WITHIN_MS = 8_000;

/** Auth.js's over http. */
const SESSION_COOKIE = "authjs.session-token";

const JWT = /eyJ[\w-]{10,}\.[\w-]+\.[\w-]+/;

/**
 * What is no fault though a browser tells it as one: a request that the page itself gave up, as with a fetch under way when a form
 * leads elsewhere.
 */
const GIVEN_UP = "net::ERR_ABORTED";

export class Visitor {
  tabs = [];
  /** Console errors, uncaught exceptions, requests that failed and answers of 400 and above, each as a line. */
  problems = [];
  #allowed = [];

  /** Somebody new, with a browser of `browser` and nothing kept from before. */
  static async arrive(browser, origin, options = {}) {
    const context = await browser.newContext({ baseURL: origin, ...options });
    context.setDefaultTimeout(SHOWN_WITHIN_MS);
    return new Visitor(context, origin);
  }

  constructor(context, origin) {
    this.context = context;
    this.origin = origin;
    context.on("console", (message) => {
      if (message.type() === "error") this.#note(`console: ${message.text()} (${message.location().url})`);
    });
    context.on("weberror", (error) => this.#note(`exception: ${error.error().stack}`));
    context.on("requestfailed", (request) => {
      const { errorText } = request.failure();
      if (errorText !== GIVEN_UP) this.#note(`failed: ${request.method()} ${request.url()}: ${errorText}`);
    });
    context.on("response", (response) => {
      if (response.status() >= 400) this.#note(`status: ${response.request().method()} ${response.url()}: ${response.status()}`);
    });
    context.on("page", (page) => this.tabs.push(new Tab(this, page)));
  }

  /** A tab on `path`. */
  async open(path = "/") {
    const page = await this.context.newPage();
    await page.goto(path);
    return this.tabOf(page);
  }

  tabOf(page) {
    return this.tabs.find((tab) => tab.page === page);
  }

  /** From now on such lines are no problems: for failures that a journey makes itself. */
  allow(...patterns) {
    this.#allowed.push(...patterns);
  }

  disallowAll() {
    this.#allowed = [];
  }

  /** The session's cookie, which no page can read; `undefined` when there is none. */
  async sessionToken() {
    const cookies = await this.context.cookies(this.origin);
    return cookies.find(({ name }) => name === SESSION_COOKIE)?.value;
  }

  /** Fails when a page told of an error, or sent or was given anything that speaks for its user but the cookie. */
  assertCookieAlone() {
    for (const { sockets, requests } of this.tabs) {
      for (const { sent, received } of sockets) {
        const tokens = sent.filter((text) => /"type":\s*"Authenticate"/.test(text) && !/"tokenType":\s*"None"/.test(text));
        assert.deepEqual(tokens, [], "a page showed a token on its socket");
        assert.ok(!received.some((text) => JWT.test(text)), "a token came down a socket");
      }
      for (const { url, authorization } of requests) {
        assert.equal(authorization, undefined, `a page sent Authorization to ${url}`);
        assert.doesNotMatch(url, /\/auth\/token$/, "a page asked for a token");
      }
    }
  }

  assertNoProblems() {
    assert.deepEqual(this.problems, []);
  }

  #note(line) {
    if (!this.#allowed.some((pattern) => pattern.test(line))) this.problems.push(line);
  }
}

/** A tab: its page, the sync sockets that it opened, and the requests that it made. */
class Tab {
  sockets = [];
  requests = [];

  constructor(visitor, page) {
    this.visitor = visitor;
    this.page = page;
    page.on("websocket", (socket) => {
      const noted = { url: socket.url(), sent: [], received: [], isClosed: false };
      this.sockets.push(noted);
      socket.on("framesent", ({ payload }) => noted.sent.push(String(payload)));
      socket.on("framereceived", ({ payload }) => noted.received.push(String(payload)));
      socket.on("close", () => (noted.isClosed = true));
    });
    page.on("request", (request) => {
      const { authorization } = request.headers();
      this.requests.push({ url: request.url(), authorization });
    });
  }

  /** The element with that test id. */
  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** Waits until an element with that test id has those `data-…` values. */
  async shows(testId, data, withinMs = SHOWN_WITHIN_MS) {
    const values = Object.entries(data).map(([name, value]) => `[data-${name}="${value}"]`);
    await this.page.locator(`[data-testid="${testId}"]${values.join("")}`).first().waitFor({ timeout: withinMs });
  }

  /** Waits for the live answer of `demo:whoami`; the user's id, `null` for nobody. */
  async whoami() {
    const answer = this.page.locator('[data-testid="whoami"]:not([data-state="loading"])').first();
    await answer.waitFor();
    return await answer.getAttribute("data-subject");
  }

  async showsSomebody() {
    await this.shows("whoami", { state: "known" });
    return this.whoami();
  }

  async showsNobody() {
    await this.shows("whoami", { state: "nobody" });
  }

  /** From now on the page notes when the answer becomes nobody. */
  async notesNobody() {
    await this.page.evaluate(() => {
      const isNobody = () => document.querySelector('[data-testid="whoami"][data-state="nobody"]') !== null;
      window.nobodyAt = new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          if (!isNobody()) return;
          observer.disconnect();
          resolve(Date.now());
        });
        observer.observe(document, { subtree: true, childList: true, attributes: true });
      });
    });
  }

  /** When that was, in epoch milliseconds. */
  notedNobody() {
    return this.page.evaluate(() => window.nobodyAt);
  }

  /** Waits for the message in the list: who signed it. */
  async author(body) {
    const row = this.page.locator('[data-testid="message"]:not([data-pending])').filter({ hasText: body });
    await row.waitFor();
    return await row.getAttribute("data-author");
  }

  async write(body) {
    await this.page.getByLabel("Your message").fill(body);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** From now on `assertNotReloaded` can tell. */
  async mark() {
    await this.page.evaluate(() => (window.isSamePage = true));
    this.socketsBefore = this.sockets.length;
  }

  /** Fails when the page was loaded again since `mark`, or opened another number of sockets than `newSockets`. */
  async assertNotReloaded({ newSockets }) {
    assert.equal(await this.page.evaluate(() => window.isSamePage), true, "the page was loaded again");
    assert.equal(this.sockets.length - this.socketsBefore, newSockets, "new sockets");
  }
}
