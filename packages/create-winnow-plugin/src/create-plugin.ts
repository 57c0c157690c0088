import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { WinnowError } from "@winnow/core";
import { templateKind } from "./kinds.js";
import { parsePluginName } from "./plugin-name.js";
import { templateFiles } from "./template-files.js";

export interface PluginRequest {
  /** See `parsePluginName`. */
  readonly name: string;
  /** One of `kindNames`. */
  readonly kind: string;
  /** Must be absent or empty; default: the package's name without scope, in the current folder. */
  readonly folder?: string;
  /** As npm writes it, `Name <mail>`; default: none. */
  readonly author?: string;
  /** TypeScript is what there is. */
  readonly language?: string;
}

export interface CreatedPlugin {
  readonly id: string;
  readonly packageName: string;
  /** Absolute. */
  readonly folder: string;
  /** Relative to `folder`, sorted. */
  readonly files: readonly string[];
}

/**
 * Writes a new plugin package that builds and passes its tests once its dependencies are installed.
 * Throws `ERR_USAGE` for a name, kind or language that is not possible and `ERR_OUTPUT_FILE` for a folder that cannot be written or holds something.
 * Nothing is written unless all is well.
 */
export function createPlugin({ name, kind, folder, author = "", language = "ts" }: PluginRequest): CreatedPlugin {
  const names = parsePluginName(name);
  const template = templateKind(kind);
  if (language !== "ts") {
    throw new WinnowError(
      "ERR_USAGE",
      `Cannot make a plugin in "${language}": the templates are TypeScript. Use --language ts.`,
    );
  }
  const target = resolve(folder ?? names.packageName.replace(/^@[^/]+\//, ""));
  requireEmpty(target);
  const files = templateFiles({ ...names, kind: template, author });
  for (const [path, text] of files) write(join(target, path), text);
  return { ...names, folder: target, files: [...files.keys()].sort() };
}

function requireEmpty(folder: string): void {
  if (!existsSync(folder)) return;
  const problem = statSync(folder).isDirectory()
    ? readdirSync(folder).length > 0 && "it is not empty"
    : "it is a file, not a folder";
  if (!problem) return;
  throw new WinnowError("ERR_OUTPUT_FILE", `Cannot write a plugin to "${folder}": ${problem}. Give another --folder.`);
}

function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    throw new WinnowError("ERR_OUTPUT_FILE", `Cannot write "${path}": ${(error as Error).message}.`, { cause: error });
  }
}
