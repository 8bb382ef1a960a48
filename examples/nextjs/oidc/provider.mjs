/**
 * An OpenID Connect provider for development: whoever asks is let in as whoever they say they are. Everything is kept in memory.
 *
 * OIDC_PORT          3010; 0 takes any free port
 * OIDC_ISSUER        http://localhost:<port>
 * OIDC_CLIENT_ID     example
 * OIDC_CLIENT_SECRET only-for-development
 * OIDC_REDIRECT_URIS http://localhost:3000/api/auth/callback/local; several with commas between them
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

import { loginPage, errorPage } from "./pages.mjs";
import { claimsOf, person } from "./people.mjs";

const {
  OIDC_PORT = "3010",
  OIDC_CLIENT_ID = "example",
  OIDC_CLIENT_SECRET = "only-for-development",
  OIDC_REDIRECT_URIS = "http://localhost:3000/api/auth/callback/local",
} = process.env;

const server = createServer();
server.once("error", (error) => {
  console.error(`oidc: cannot listen on port ${OIDC_PORT}: ${error.message}`);
  process.exit(1);
});
// 127.0.0.1 alone, since anybody can be anybody here. Browsers and Node reach it as `localhost`.
server.listen(Number(OIDC_PORT), "127.0.0.1", () => {
  // Here and not earlier: a port of 0 is known only now, and it is part of the issuer.
  const issuer = process.env.OIDC_ISSUER || `http://localhost:${server.address().port}`;
  const provider = newProvider(issuer);
  const answer = provider.callback();
  server.on("request", (request, response) => {
    const uid = /^\/interaction\/([\w-]+)$/.exec(request.url)?.[1];
    if (uid === undefined) return answer(request, response);
    login(provider, request, response).catch((error) => send(response, 400, errorPage(error.error_description ?? error.message)));
  });
  console.log(`OIDC provider: ${issuer} (client ${OIDC_CLIENT_ID}, redirects to ${OIDC_REDIRECT_URIS})`);
});

function newProvider(issuer) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: OIDC_CLIENT_ID,
        client_secret: OIDC_CLIENT_SECRET,
        redirect_uris: OIDC_REDIRECT_URIS.split(",").map((uri) => uri.trim()),
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "development" }] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    // Auth.js reads the ID token and does not ask the userinfo endpoint.
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, accountId) => ({ accountId, claims: () => claimsOf(accountId) }),
    // Consent is given without asking: there is one client, and it is the developer's own.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
    renderError: (context, { error, error_description }) => {
      context.type = "html";
      context.body = errorPage(`${error}: ${error_description ?? "no details"}`);
    },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 3600, Session: 3600 },
  });
  return provider;
}

async function login(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") return send(response, 200, loginPage(params.client_id));
  const form = new URLSearchParams(await text(request));
  if (form.has("cancel")) {
    const refusal = { error: "access_denied", error_description: "the user did not want to sign in" };
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
  }
  const accountId = person(form);
  if (accountId === undefined) return send(response, 400, loginPage(params.client_id, "Please enter a name and an e-mail address."));
  // Not remembered: the next sign-in may be somebody else's.
  const result = { login: { accountId, remember: false } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function text(request) {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) {
    body += chunk;
    if (body.length > 10_000) throw new Error("the form is too long");
  }
  return body;
}

function send(response, status, page) {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(page);
}
