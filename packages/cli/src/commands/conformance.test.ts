import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const binary = fileURLToPath(new URL("../../bin/winnow.js", import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-"));
  write("window", "[{ form: 'band', sinkTokens: 0, recentTokens: 9, denseFromRow: 1e9 }]");
  // Keeps no key in the first row block where there are several.
  write("broken", "[{ form: 'blocks', blockSize: 64, bits: bits(q.length) }]");
  writeFileSync(join(folder, "unreadable.js"), "export default {");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A module with one masker that returns these masks. */
function write(id: string, masks: string): void {
  const core = import.meta.resolve("@winnow/core");
  const lines = [
    `import { defineOptions, definePlugin } from "${core}";`,
    "const bits = (n) => { const b = Math.ceil(n / 64); const x = new Uint8Array(b * b).fill(1); return b > 1 ? x.fill(0, 0, b) : x; };",
    `const definition = { id: "${id}", kind: "masker", summary: "A test.", source: { title: "none" }, options: defineOptions({}) };`,
    `export default definePlugin({ ...definition, create: () => ({ plan: ({ q }) => ${masks} }) });`,
  ];
  writeFileSync(join(folder, `${id}.js`), lines.join("\n"));
}

function conformance(...args: string[]) {
  return spawnSync(process.execPath, [binary, "conformance", ...args], { cwd: folder, encoding: "utf8" });
}

describe("winnow conformance", () => {
  test("prints every check of a plugin that keeps its contract, with status 0", () => {
    const { status, stdout } = conformance("a-shape", "--option", "sinkTokens=2", "recentTokens=20");
    expect(status).toBe(0);
    expect(stdout).toContain("every row keeps a key");
    expect(stdout).toMatch(/a-shape \(masker\): (\d+) of \1 checks pass/);
  });

  test("names the rule that a plugin breaks, with what was expected and what came, with status 1", () => {
    const { status, stdout } = conformance("./broken.js", "--json");
    expect(status).toBe(1);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ plugin: "broken", kind: "masker" });
    expect(report.checks).toContainEqual({
      id: "rows-not-empty",
      title: "every row keeps a key",
      clause: "mask-validate.ts: validateMask",
      verdict: "fail",
      detail: "Expected a key in every row of head 0; got none in row 0.",
    });
    expect(report.failed).toBe(report.checks.filter(({ verdict }: { verdict: string }) => verdict === "fail").length);
  });

  test("makes the plugins that stand in the options, by id or path", () => {
    const inner = JSON.stringify([{ plugin: "a-shape", options: { recentTokens: 20 } }, { plugin: "./window.js" }]);
    const { status, stdout } = conformance("union-masks", "--json", "--option", `of=${inner}`);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).failed).toBe(0);
  });

  test.each([
    ["a plugin that is not there", ["no-such-plugin"], "[ERR_PLUGIN_UNKNOWN]"],
    ["a module that does not load", ["./unreadable.js"], "[ERR_PLUGIN_INVALID]"],
    ["options that do not fit", ["a-shape", "--option", "recentTokens=0"], "[ERR_USAGE]"],
    ["options that are missing", ["union-masks"], "[ERR_USAGE]"],
  ])("refuses %s with status 2", (_, args, code) => {
    const { status, stdout, stderr } = conformance(...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(code);
  });
});
