import { WinnowError } from "@winnow/core";
import { z } from "zod";
import { describe, isJsonObject } from "../json.js";
import type { SafetensorsFile } from "../safetensors.js";
import { checkSchema } from "../schema-check.js";
import { descriptionSchema, FORMAT_VERSION } from "./description.js";

/** Key of the file's `__metadata__` under which the block stands, as JSON. */
export const BLOCK_KEY = "winnow";

const common = {
  formatVersion: z.int().min(1),
  /** What was done with which data; written by the caller of `writeModel`, not interpreted. */
  provenance: z.record(z.string(), z.unknown()),
};

const blockSchema = z.discriminatedUnion("form", [
  /** Ordinary tensors; `matrices` names those that differ from the model that was pruned. */
  z.object({ ...common, form: z.literal("plain"), matrices: z.array(z.string()) }),
  z.object({
    ...common,
    form: z.literal("sparse"),
    matrices: z.record(z.string(), descriptionSchema),
    /** Tensors of the file that are biases which config.json does not announce. */
    biases: z.array(z.string().regex(/\.bias$/, 'a name that ends with ".bias"')).optional(),
  }),
]);

/** What a file that Winnow wrote says about itself. */
export type WinnowBlock = z.infer<typeof blockSchema>;

/** The block of a file; undefined if it was not written by Winnow. Errors: `ERR_MODEL_FILE`. */
export function readBlock(file: SafetensorsFile): WinnowBlock | undefined {
  const text = file.metadata[BLOCK_KEY];
  if (text === undefined) return undefined;
  const json = parseBlock(file.path, text);
  const version = json.formatVersion;
  if (Number.isSafeInteger(version) && (version as number) > FORMAT_VERSION) {
    throw blockError(
      file.path,
      `its format version is ${version}, this version of Winnow reads up to ${FORMAT_VERSION}`,
      "Update Winnow",
    );
  }
  return checkSchema(blockSchema, json, (key, expected, given) => {
    throw blockError(file.path, `"${key}" of its metadata must be ${expected}, got ${describe(given)}`);
  });
}

function parseBlock(path: string, text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw blockError(path, `its metadata "${BLOCK_KEY}" must be JSON, got ${(cause as Error).message}`);
  }
  if (!isJsonObject(json)) {
    throw blockError(path, `its metadata "${BLOCK_KEY}" must be a JSON object, got ${describe(json)}`);
  }
  return json;
}

function blockError(path: string, problem: string, advice = "Download or convert the model again"): WinnowError {
  return new WinnowError("ERR_MODEL_FILE", `Cannot read "${path}": ${problem}. ${advice}.`);
}
