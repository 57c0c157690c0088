import type { ErrorCode, WinnowError } from "@winnow/core";
import type { z } from "zod";
import type { ConfigPath } from "./path.js";
import { type Origin, type PlacedValue, placeOf } from "./place.js";
import { errorOf, problemAt } from "./problem.js";
import { resolvePaths } from "./resolve-paths.js";
import { type PipelineConfig, pipelineSchema } from "./schema.js";
import { validate, validatePluginOptions } from "./validate.js";

/** A checked configuration that remembers where each of its values was written. Options of plugins are checked by the planner. */
export class ConfigDocument {
  /** The configuration file, as it was named; undefined for an object of a program. */
  readonly file?: string;
  /** Absolute; what relative paths of the configuration are relative to. */
  readonly folder: string;
  /** With defaults, and with absolute paths. */
  readonly value: PipelineConfig;
  /** As it was written. */
  readonly placed: PlacedValue;

  /** Errors: `ERR_OPTION_*`, `ERR_PLAN_CONFLICT`; one error lists everything that is wrong. */
  constructor(placed: PlacedValue, { file, folder }: { file?: string; folder: string }) {
    if (file !== undefined) this.file = file;
    this.folder = folder;
    this.placed = placed;
    this.value = resolvePaths(validate(pipelineSchema, placed.value, { root: placed.place, path: [] }), folder);
  }

  /** Who wrote the value at `path`, and where. */
  originOf(path: ConfigPath): Origin {
    const place = placeOf(this.placed.place, path);
    if (!place) return { origin: "default" };
    const location = place.value ?? place.key;
    return { origin: place.origin, ...(location && { location }) };
  }

  /** The error `Cannot configure <path>: <problem>.` at the place of that value, or of the section around a value that nobody wrote. */
  fail(path: ConfigPath, code: ErrorCode, problem: string): WinnowError {
    return errorOf([problemAt(this.placed.place, { path, code, text: problem })]);
  }
}

/**
 * Checks the options of a plugin, which stand at `path` of a configuration, and fills in defaults.
 * Errors: `ERR_OPTION_*` at the place of the option, `ERR_PLUGIN_FAILED` if the schema itself throws.
 */
export function validateOptions(
  schema: z.ZodObject,
  value: unknown,
  { document, path, plugin }: { document: ConfigDocument; path: ConfigPath; plugin: string },
): Record<string, unknown> {
  return validatePluginOptions(schema, value, { root: document.placed.place, path, plugin });
}
