import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const binary = fileURLToPath(new URL("../bin/winnow.js", import.meta.url));

const recordImports = `import { writeSync } from "node:fs";
export function load(url, context, next) {
  writeSync(2, "loaded " + url + "\\n");
  return next(url, context);
}`;

/** Writes the path of every module that a process loads to standard error: ES modules as they load, CommonJS modules and add-ons at the end. */
const record = `import { createRequire, register } from "node:module";
import { writeSync } from "node:fs";
register(${JSON.stringify(dataUrl(recordImports))});
process.on("exit", () => {
  for (const path of Object.keys(createRequire(process.execPath).cache)) writeSync(2, "loaded " + path + "\\n");
});`;

function dataUrl(module: string): string {
  return `data:text/javascript,${encodeURIComponent(module)}`;
}

/** Packages whose code `winnow` loads: folders of this repository (`packages/core`), and names of others (`zod`). */
function loadedPackages(args: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", dataUrl(record), binary, ...args], (_, __, err) => {
      const paths = [...err.matchAll(/^loaded (.*)$/gm)].map(([, path]) => path.replaceAll("\\", "/"));
      const names = paths.flatMap((path) => packageOf(path) ?? []);
      resolve([...new Set(names)].sort());
    });
  });
}

function packageOf(path: string): string | undefined {
  const installed = path.match(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1];
  return installed ?? path.match(/\/((?:packages|plugins)\/[^/]+)\//)?.[1];
}

describe("winnow loads only what a command needs:", () => {
  test.each([["plugins list"], ["plugins list --json"]])(
    "%s loads no plugin, no schema library and no kernels",
    async (line) => {
      const loaded = await loadedPackages(line.split(" "));
      expect(loaded).toEqual(["commander", "packages/cli", "packages/core", "packages/runtime"]);
    },
  );

  test.each([["--version"], ["--help"], ["plugins --help"], ["nope"]])(
    "%s loads the command line alone",
    async (line) => {
      const loaded = await loadedPackages(line.split(" "));
      expect(loaded).toEqual(["commander", "packages/cli", "packages/core"]);
    },
  );

  test("plugins show loads the plugin that it shows, with its schemas, and no other", async () => {
    const loaded = await loadedPackages(["plugins", "show", "hello-masker"]);
    expect(loaded).toContain("zod");
    expect(loaded.filter((name) => name.startsWith("plugins/"))).toEqual(["plugins/hello-masker"]);
  });
});
