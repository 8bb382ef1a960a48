// Answers each request with a fresh Convex token, signed as Convex's guide for Auth.js does in its session callback: with `jose`, and with
// the private key imported from its PEM each time (KEY=each-time) or at the start (KEY=once). All else that the guide's way needs, above
// all its call of the deployment, is left out: this is the least that a Node server does for a token.

import { createServer } from "node:http";

import { importPKCS8, SignJWT } from "jose";

const { ALGORITHM, PRIVATE_KEY, ISSUER, KEY, USER_ID } = process.env;
const LIFETIME_MS = 60 * 60 * 1_000;

const importKey = () => importPKCS8(PRIVATE_KEY.replaceAll("\\n", "\n"), ALGORITHM);
const imported = await importKey();
const key = KEY === "once" ? () => imported : importKey;

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    answer(Buffer.concat(pieces)).then(
      (body) => send(response, 200, body),
      (error) => send(response, 500, { code: "Failed", message: String(error) }),
    );
  });
});

async function answer(body) {
  if (!JSON.parse(body).sessionToken) throw new Error("no session token");
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: ALGORITHM })
    .setSubject(USER_ID)
    .setIssuer(ISSUER)
    .setAudience("convex")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(await key());
  return { token, expiresAt: Date.now() + LIFETIME_MS };
}

function send(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store" });
  response.end(body);
}

process.on("SIGTERM", () => process.exit(0));
server.listen(0, "127.0.0.1", () => console.log(`listening 127.0.0.1:${server.address().port}`));
