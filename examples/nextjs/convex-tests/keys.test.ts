import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deployment } from "./deployment";

const SITE = "https://happy-otter-123.convex.site";
const DISCOVERY = "/.well-known/openid-configuration";
const KEYS = "/.well-known/jwks.json";
const rsa = { kty: "RSA", use: "sig", n: "AQAB", e: "AQAB", kid: "1" };

beforeEach(() => {
  vi.stubEnv("CONVEX_SITE_URL", SITE);
  vi.stubEnv("JWKS", JSON.stringify({ keys: [rsa] }));
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("discovery has every member that OpenID Connect requires", async () => {
  const response = await deployment().fetch(DISCOVERY);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("cache-control")).toContain("max-age=15");
  expect(await response.json()).toEqual({
    issuer: SITE,
    authorization_endpoint: `${SITE}/oauth/authorize`,
    jwks_uri: `${SITE}${KEYS}`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
  });
});

test("the key set is published as it is", async () => {
  const response = await deployment().fetch(KEYS);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("cache-control")).toContain("max-age=15");
  expect(await response.json()).toEqual({ keys: [rsa] });
});

test("the algorithms are those of the keys", async () => {
  const keys = [
    { kty: "OKP", crv: "Ed25519", x: "x" },
    { kty: "EC", crv: "P-256" },
    rsa,
    { ...rsa, kid: "2", alg: "RS512" },
  ];
  vi.stubEnv("JWKS", JSON.stringify({ keys }));
  const { id_token_signing_alg_values_supported: algorithms } = await (await deployment().fetch(DISCOVERY)).json();
  expect(algorithms).toEqual(["EdDSA", "ES256", "RS256", "RS512"]);
});

test.each([
  ["JwksMissing", undefined],
  ["JwksMissing", ""],
  ["JwksInvalid", "{"],
  ["JwksInvalid", "null"],
  ["JwksInvalid", '{"keys":[]}'],
  ["JwksInvalid", '{"keys":["a"]}'],
  ["JwksPrivate", JSON.stringify({ keys: [rsa, { ...rsa, d: "very-private" }] })],
  ["JwksPrivate", JSON.stringify({ keys: [{ kty: "oct", k: "very-private" }] })],
])("%s is told, by both documents, and kept by nobody (%s)", async (code, jwks) => {
  vi.stubEnv("JWKS", jwks);
  for (const path of [DISCOVERY, KEYS]) {
    const response = await deployment().fetch(path);
    expect(response.status).toBe(500);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const body = await response.text();
    expect(JSON.parse(body)).toEqual({ code, message: expect.stringContaining("JWKS") });
    expect(body).not.toContain("very-private");
  }
});

async function providers() {
  vi.resetModules();
  return (await import("../convex/auth.config")).default.providers;
}

test("the issuer is the deployment, unless the proxy is", async () => {
  vi.stubEnv("AUTH_ISSUER_URL", undefined);
  expect(await providers()).toEqual([{ domain: SITE, applicationID: "convex" }]);
  vi.stubEnv("AUTH_ISSUER_URL", "");
  expect(await providers()).toEqual([{ domain: SITE, applicationID: "convex" }]);
  vi.stubEnv("AUTH_ISSUER_URL", "https://convex.example.com");
  expect(await providers()).toEqual([{ domain: "https://convex.example.com", applicationID: "convex" }]);
});

test("the issuer is the deployment where reading a variable that is not set throws, as Convex does for this file", async () => {
  const env = new Proxy<Record<string, string>>(
    { CONVEX_SITE_URL: SITE },
    {
      get(target, name: string) {
        if (!(name in target)) {
          throw new Error(`Environment variable ${name} is used in auth config file but its value was not set`);
        }
        return target[name];
      },
    },
  );
  vi.stubGlobal("process", { ...process, env });
  expect(await providers()).toEqual([{ domain: SITE, applicationID: "convex" }]);
});
