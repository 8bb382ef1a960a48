/** Auth.js's error codes in words. It sends no others to a browser than these; the log has the details. */

interface Explanation {
  title: string;
  text: string;
}

const CONFIGURATION: Explanation = {
  title: "The server could not do it",
  text: "The database was not reached, a letter was not sent, or a setting is wrong. The server's log says which. Trying again may help.",
};

/** The same code, for somebody who is signed in and wanted to link. */
const LINKED_TO_ANOTHER: Explanation = {
  title: "That account belongs to another user",
  text: "So it cannot be yours as well. Nothing has changed. To use it, sign out and sign in with it.",
};

const EXPLANATIONS: Record<string, Explanation> = {
  OAuthAccountNotLinked: {
    title: "That address belongs to somebody already",
    text: "You have been here with the same e-mail address and another way of signing in. For safety accounts are not joined by address alone. Sign in as you did before, go to Account, and link the new one there.",
  },
  OAuthCallbackError: {
    title: "The provider did not let you in",
    text: "You cancelled there, or it refused. Nothing has changed; you can try again.",
  },
  Verification: {
    title: "This link is of no use any more",
    text: "It was used before, or it is older than 15 minutes. Ask for a new one.",
  },
  AccessDenied: { title: "You may not sign in", text: "The app does not let this account in." },
  MissingCSRF: {
    title: "The form was out of date",
    text: "It was sent without the cookie that belongs to it. Reload the page and try again; cookies must be allowed.",
  },
  AddressInvalid: { title: "That is no e-mail address", text: "It needs a name, an @ and a host, and no quotes." },
  Configuration: CONFIGURATION,
};

export function explanation(code: string, isSignedIn: boolean): Explanation {
  if (code === "OAuthAccountNotLinked" && isSignedIn) return LINKED_TO_ANOTHER;
  return (Object.hasOwn(EXPLANATIONS, code) ? EXPLANATIONS[code] : undefined) ?? CONFIGURATION;
}
