import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** Results that tests keep for later starts must not meet the next run of the tests. */
const cache = mkdtempSync(join(tmpdir(), "winnow-test-cache-"));
process.on("exit", () => rmSync(cache, { recursive: true, force: true }));

export default defineConfig({
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "plugins/*/src/**/*.test.ts",
      "examples/**/*.test.ts",
      "scripts/**/*.test.ts",
    ],
    pool: "forks",
    env: { XDG_CACHE_HOME: cache },
    maxWorkers: 2,
    // For a machine several times slower than usual: it ends a hang, it judges no speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
