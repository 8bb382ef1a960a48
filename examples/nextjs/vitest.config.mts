import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["convex-tests/**/*.test.ts"],
    // The nearest to Convex's own runtime: the web's globals, none of Node's.
    environment: "edge-runtime",
    server: { deps: { inline: ["convex-test"] } },
    unstubEnvs: true,
  },
});
