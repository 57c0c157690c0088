import { option, projections, selectionSchema } from "@winnow/core";
import { z } from "zod";

const projectionList = (description: string) =>
  option(z.array(z.enum(projections)).min(1).optional(), {
    description: `${description}: names of matrices, e.g. [up_proj, down_proj]; absent: all.`,
  });

const matrices = {
  layers: selectionSchema("Layers that this entry covers; absent: all").optional(),
  projections: projectionList("Matrices that this entry covers"),
};

const somewhere = {
  message: "must name layers, projections or both, got none",
  params: { code: "ERR_OPTION_MISSING", complete: true },
};

const namesSomething = (entry: { layers?: unknown; projections?: unknown }) =>
  entry.layers !== undefined || entry.projections !== undefined;

const pluginOptions = (description: string) => option(z.record(z.string(), z.unknown()).default({}), { description });

/** One entry of `weights`. Entries run in order; each sees what the one before it left. */
export const weightEntrySchema = z.strictObject({
  sparsifier: z.string().min(1).meta({
    description: "Weight sparsifier: an id, a package name or a relative path.",
  }),
  options: pluginOptions("Options of the plugin, by its own schema."),
  ...matrices,
  overrides: option(
    z
      .array(
        z
          .strictObject({
            ...matrices,
            options: pluginOptions("Options that replace those of the entry; the others stay as they are."),
          })
          .refine(namesSomething, somewhere),
      )
      .max(10_000)
      .default([]),
    { description: "Other options for some layers and matrices. Where entries overlap, the later one wins." },
  ),
  skip: option(z.array(z.strictObject(matrices).refine(namesSomething, somewhere)).max(10_000).default([]), {
    description: "Matrices that this sparsifier leaves alone.",
  }),
});

export const calibrationSchema = z.strictObject({
  text: option(z.string().min(1).optional(), {
    description: "Text file, or folder of .txt and .md files, to gather statistics on. Default: a built-in book.",
    format: "path",
  }),
  sequences: option(z.int().min(1).max(100_000).default(32), {
    description: "Pieces of text. More give steadier statistics and take longer; papers use 128.",
    unit: "sequences",
    symbol: "N",
  }),
  length: option(z.int().min(2).max(10_000_000).default(2048), {
    description: "Tokens of each piece, at most the model's context.",
    unit: "tokens",
    symbol: "L",
  }),
  seed: option(z.int().min(0).max(0xffffffff).default(0), { description: "Chooses the pieces." }),
  sampling: option(z.enum(["seeded", "python"]).default("seeded"), {
    description:
      "How pieces are drawn. python: documents and offsets as Python's random module draws them in the reference implementations, documents being the lines or files of the text.",
    source: "reference code of Wanda and SparseGPT",
  }),
  sampledTokens: option(z.int().min(1).max(1_000_000).default(2048), {
    description: "Tokens whose inputs are handed to methods that need them as they are (thresholds by quantile).",
    unit: "tokens",
  }),
  cache: option(z.union([z.boolean(), z.string().min(1)]).default(true), {
    description:
      "Where weights that were pruned while a model was loaded are kept, so that the next start with the same model, text, options and code need not calibrate again: true: in the user's cache folder; a path: there; false: nowhere.",
    format: "path",
  }),
  cacheGigabytes: option(z.number().min(0).max(1_000_000).default(16), {
    description: "What the cache may hold; beyond that the results that were not used for longest are deleted.",
    unit: "gigabytes",
  }),
});

export const weightFormatSchema = option(
  z.enum(["auto", "dense", "bitmap", "groups", "int8", "bitmap-int8"]).default("auto"),
  {
    description:
      "How matrices are held in memory. auto: N:M matrices as groups and others with at least 35 % zeros as bitmap (bf16 only), the rest dense. int8 and bitmap-int8 quantise every matrix of a layer to 8 bits.",
  },
);

export type CalibrationSettings = z.output<typeof calibrationSchema>;
export type WeightFormatChoice = z.output<typeof weightFormatSchema>;
export type WeightEntry = z.output<typeof weightEntrySchema>;
