import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { WinnowError } from "@winnow/core";
import { afterAll } from "vitest";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A new folder with these files (objects become JSON), removed after the tests of this file. */
export function tempFolder(files: Readonly<Record<string, string | object>> = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "winnow-")));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

/** package.json of a plugin package with one plugin per id. */
export function manifest(name: string, ids: readonly string[], { kind = "masker", contract = 1 } = {}): object {
  const plugins = ids.map((id) => ({ id, kind, summary: `Test plugin ${id}.` }));
  return { name, version: "1.2.3", type: "module", exports: "./index.js", winnow: { contract, plugins } };
}

const zod = join(dirname(createRequire(import.meta.url).resolve("zod/package.json")), "index.js");

/** A module that default-exports a plugin with one option, `width` (>= 1, default 8). `create` and `more` are its source text. */
export function pluginModule(id: string, { kind = "masker", create = "() => ({})", more = "" } = {}): string {
  return `import { z } from ${JSON.stringify(pathToFileURL(zod).href)};
export default {
  id: ${JSON.stringify(id)}, kind: ${JSON.stringify(kind)}, summary: "Test plugin.", source: { title: "none" },
  options: z.strictObject({ width: z.int().min(1).default(8).meta({ description: "Width." }) }),
  create: ${create}, ${more}
};`;
}

/** The error of a rejected promise or a throwing function, as a person reads it: message, then place and code. */
export async function errorText(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof WinnowError) return error.toString();
    throw error;
  }
  throw new Error("expected an error, there was none");
}
