// npm test: everything. Lint, types, generated files, native unit tests, then the test suite.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, run, runStatus } from "./lib/workspace.mjs";

function step(title, command, args) {
  console.log(`\n== ${title}`);
  run(command, args);
}

ensureInstalled();
console.log("== build");
ensureBuilt();
step("lint and format", "biome", ["check", "."]);
step("types", "tsc", ["-p", "tsconfig.json"]);
step("generated files are current", "node", ["scripts/generate.mjs", "--check"]);
step("native unit tests", "node", ["packages/kernels-native/scripts/build.mjs", "--test"]);

console.log("\n== test suite");
const folder = mkdtempSync(join(tmpdir(), "winnow-test-"));
const report = join(folder, "report.json");
const status = runStatus("vitest", [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]);
const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, "utf8"));
rmSync(folder, { recursive: true });
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`);
process.exit(status);
