import { resolve } from "node:path";
import type { OptionInfo } from "@winnow/core";
import type { ConfigPath } from "./path.js";
import { type PipelineConfig, pipelineSchema } from "./schema.js";
import { schemaAt } from "./schema-walk.js";

/**
 * The configuration with absolute paths, relative ones against `folder`: strings that the schema declares a path (`format: "path"`), and the
 * entries of `plugins` that are paths. `output` stays relative to the current folder.
 */
export function resolvePaths(config: PipelineConfig, folder: string): PipelineConfig {
  const visit = (part: unknown, path: ConfigPath): unknown => {
    if (typeof part === "string") return isPath(path, part) ? resolve(folder, part) : part;
    if (Array.isArray(part)) return part.map((item, index) => visit(item, [...path, index]));
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, visit(inner, [...path, key])]));
  };
  return visit(config, []) as PipelineConfig;
}

function isPath(path: ConfigPath, value: string): boolean {
  // Anything else in the list of plugins is the name of a package.
  if (path[0] === "plugins") return /^(\.|\/|[A-Za-z]:[\\/])/.test(value);
  return (schemaAt(pipelineSchema, path)?.meta() as OptionInfo | undefined)?.format === "path";
}
