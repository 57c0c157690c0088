import { type ModelShape, type OptionFile, readOptionFile, WinnowError } from "@winnow/core";
import { z } from "zod";

/** Pattern families by the names of the reference's files: vertical-slash, A-shape, block-sparse. */
export const headTypes = ["vertical_and_slash", "stream_llm", "block_sparse"] as const;

export type HeadType = (typeof headTypes)[number];

const size = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

/**
 * `[type, v, s, score]`: sizes of the pattern (columns and offsets; sinks and window; unused by block-sparse) and what the search found for it,
 * a recall or an error; nothing reads the score.
 */
const headEntrySchema = z.tuple([z.enum(headTypes), size, size, z.number().optional()]);

export type HeadEntry = z.output<typeof headEntrySchema>;

/** One object per layer, from query heads (as strings) to entries. Layers and heads that are missing take the default entry. */
export const headConfigSchema = z.array(z.record(z.string().regex(/^(0|[1-9]\d*)$/), headEntrySchema));

export type HeadConfig = z.output<typeof headConfigSchema>;

const file: OptionFile = { option: "headConfig", expected: "a JSON file", maxBytes: 16 * 2 ** 20 };

/**
 * A head configuration from a file of the reference's format, or given inline, checked against the model.
 * Throws `ERR_CONFIG_FILE` (unreadable), `ERR_CONFIG_SYNTAX` (not JSON), `ERR_OPTION_TYPE` (a value of the wrong type or range, with its place in the file)
 * or `ERR_PLAN_CONFLICT` (more layers or heads than the model has).
 */
export function readHeadConfig(source: string | HeadConfig | undefined, model: ModelShape): HeadConfig {
  if (source === undefined) return [];
  const name = typeof source === "string" ? source : "headConfig";
  const config = typeof source === "string" ? parseHeadConfig(readOptionFile(source, file), source) : source;
  checkModel(config, name, model);
  return config;
}

/** Inverse of {@link formatHeadConfig}; `name` stands in messages. */
export function parseHeadConfig(text: string, name: string): HeadConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WinnowError(
      "ERR_CONFIG_SYNTAX",
      `Cannot read headConfig ${name}: it must be JSON, but ${(cause as Error).message}.`,
      { cause },
    );
  }
  const result = headConfigSchema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new WinnowError(
    "ERR_OPTION_TYPE",
    `Cannot use headConfig ${name}: ${message}${path.length ? ` at ${z.core.toDotPath(path)}` : ""}. ` +
      'Expected a list with one object per layer, from head numbers to [type, v, s, score], e.g. [{ "0": ["vertical_and_slash", 1000, 6096, 1] }].',
  );
}

function checkModel(config: HeadConfig, name: string, { layers, queryHeads }: ModelShape): void {
  if (config.length > layers) {
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `Cannot use headConfig ${name}: it has ${config.length} layers, the model has ${layers}. Use the file that was searched for this model.`,
    );
  }
  config.forEach((layer, index) => {
    const head = Object.keys(layer).find((key) => Number(key) >= queryHeads);
    if (head === undefined) return;
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `Cannot use headConfig ${name}: layer ${index} names head ${head}, the model has ${queryHeads} query heads. Use the file that was searched for this model.`,
    );
  });
}

/** JSON text of a configuration, one line per layer. */
export function formatHeadConfig(config: HeadConfig): string {
  return `[\n${config.map((layer) => `  ${JSON.stringify(layer)}`).join(",\n")}\n]\n`;
}
