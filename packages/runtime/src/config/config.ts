import { dirname, resolve } from "node:path";
import { ConfigDocument } from "./document.js";
import { given } from "./given.js";
import type { PlacedValue } from "./place.js";
import { copyPlainData } from "./plain-data.js";
import { errorOf, problemAt } from "./problem.js";
import { readConfigText } from "./read-file.js";
import { applySet } from "./set-argument.js";
import { readYaml } from "./yaml-text.js";

export { ConfigDocument, validateOptions } from "./document.js";

/**
 * Reads a pipeline file (YAML 1.2 or JSON, UTF-8) and applies `sets`, each `path=value`, in order.
 * Errors: `ERR_CONFIG_FILE` for what is no readable text file, and those of {@link parseConfig}.
 */
export function readConfig(file: string, sets: readonly string[] = []): ConfigDocument {
  return parseConfig(readConfigText(file), { file, sets });
}

/**
 * Like {@link readConfig}, for text that was read already; `file` is shown in messages, and relative paths start from its folder.
 * Errors: `ERR_CONFIG_SYNTAX`, `ERR_OPTION_*`, `ERR_PLAN_CONFLICT`, and `ERR_USAGE` for a malformed set.
 */
export function parseConfig(
  text: string,
  { file, sets = [] }: { file: string; sets?: readonly string[] },
): ConfigDocument {
  return documentOf(readYaml(text, { file }), sets, { file, folder: dirname(resolve(file)) });
}

/** Like {@link parseConfig}, for an object of the same form; relative paths start from `folder`, by default the current one. */
export function configFromObject(
  input: unknown,
  { folder = ".", sets = [] }: { folder?: string; sets?: readonly string[] } = {},
): ConfigDocument {
  return documentOf(copyPlainData(input), sets, { folder: resolve(folder) });
}

function documentOf(
  { value, place }: PlacedValue,
  sets: readonly string[],
  source: { file?: string; folder: string },
): ConfigDocument {
  // An empty file is a configuration in which nothing is set.
  const content = value === null && source.file !== undefined ? {} : value;
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    const text = `must be a section (key: value), got ${given(content)}`;
    throw errorOf([problemAt(place, { path: [], code: "ERR_OPTION_TYPE", text })]);
  }
  return new ConfigDocument(sets.reduce(applySet, { value: content, place }), source);
}
