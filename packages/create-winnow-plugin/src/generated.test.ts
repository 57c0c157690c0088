import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlugin } from "./create-plugin.js";
import { kindNames } from "./kinds.js";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

/** Folder of an installed package, and the script behind its command. */
const packageOf = (name: string) => dirname(require.resolve(`${name}/package.json`));
const scriptOf = (name: string, bin: string) => join(packageOf(name), bin);

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "winnow-generated-"));
  mkdirSync(join(place, "node_modules"));
  for (const name of ["@winnow", "zod"]) {
    symlinkSync(join(packageFolder, "node_modules", name), join(place, "node_modules", name));
  }
  symlinkSync(packageOf("vitest"), join(place, "node_modules/vitest"));
  for (const kind of kindNames) createPlugin({ name: `made-${kind}`, kind, folder: join(place, kind) });
});
afterAll(() => rmSync(place, { recursive: true }));

/** Runs a script in a folder of its own process, as npm would; returns what it printed if it failed. */
function failureOf(folder: string, script: string, args: readonly string[]): string {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST")));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  return status === 0 ? "" : `${stdout}${stderr}`;
}

describe("a generated plugin", () => {
  it.each(kindNames)("%s builds without an error of types", (kind) => {
    expect(failureOf(join(place, kind), scriptOf("typescript", "bin/tsc"), [])).toBe("");
  });

  it("passes its tests, whatever its kind", () => {
    const args = ["run", "--no-isolate", "--exclude", "**/dist/**", "--testTimeout", "60000"];
    expect(failureOf(place, scriptOf("vitest", "vitest.mjs"), args)).toBe("");
  }, 300_000);
});
