import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "plugins/*/src/**/*.test.ts",
      "examples/**/*.test.ts",
      "scripts/**/*.test.ts",
    ],
    pool: "forks",
    maxWorkers: 2,
    // For a machine several times slower than usual: it ends a hang, it judges no speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
