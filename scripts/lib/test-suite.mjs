import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { root, runStatus } from "./workspace.mjs";

/** Runs vitest; returns how many tests passed and were skipped, and the names of those that failed. */
export function runTestSuite(args) {
  const folder = mkdtempSync(join(tmpdir(), "winnow-test-"));
  const file = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const status = runStatus("vitest", ["run", ...reporters, ...args]);
  const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  rmSync(folder, { recursive: true });
  const failures = report?.testResults.flatMap(failuresOf) ?? [];
  // Errors outside of any test, and runs that end early.
  if (status !== 0 && failures.length === 0) failures.push("test suite (see the messages above)");
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  return { passed: report?.numPassedTests ?? 0, skipped, failures };
}

function failuresOf({ name, status, assertionResults }) {
  const file = relative(root, name);
  const failed = assertionResults.filter((test) => test.status === "failed");
  // A file that does not load has no tests to fail.
  if (status === "failed" && failed.length === 0) return [file];
  return failed.map((test) => `${file}: ${test.fullName}`);
}
