// npm test: everything. Build, lint, types, generated files, native unit tests, then the test suite. Arguments go to vitest.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureBuilt } from "./lib/build.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { runTestSuite } from "./lib/test-suite.mjs";
import { root, runStatus } from "./lib/workspace.mjs";

ensureInstalled();
ensureBuilt();

const hasCompiler = !existsSync(join(root, "packages/kernels-native/build/unavailable.json"));
const results = [
  check("lint and format", "biome", ["check", "--error-on-warnings", "."]),
  check("types", "tsc", ["-p", "tsconfig.json"]),
  check("generated files", process.execPath, ["scripts/generate.mjs", "--check"]),
  hasCompiler
    ? check("native unit tests", process.execPath, ["packages/kernels-native/scripts/build.mjs", "--test"])
    : skip("native unit tests", "no C++ compiler"),
  suite(),
];

const sum = (name) => results.reduce((total, result) => total + result[name], 0);
const failures = results.flatMap((result) => result.failures);
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((name) => `  ${name}`).join("\n")}`);
console.log(`\n${sum("passed")} passed, ${failures.length} failed, ${sum("skipped")} skipped`);
process.exitCode = failures.length > 0 ? 1 : 0;

/** A check that is one thing in the count, whatever it looks at. */
function check(title, command, args) {
  console.log(`\n== ${title}`);
  const failed = runStatus(command, args) !== 0;
  return failed ? { passed: 0, skipped: 0, failures: [title] } : { passed: 1, skipped: 0, failures: [] };
}

function skip(title, reason) {
  console.log(`\n== ${title}: skipped, ${reason}`);
  return { passed: 0, skipped: 1, failures: [] };
}

function suite() {
  console.log("\n== test suite");
  return runTestSuite(process.argv.slice(2));
}
