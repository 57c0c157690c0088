import { option } from "@winnow/core";
import { z } from "zod";
import { generationSchema } from "../engine/generation-options.js";
import { exactlyOne } from "./exactly-one.js";

const needleSchema = z.strictObject({
  length: option(z.int().min(16).max(10_000_000), {
    description: "Length of the made prompt. Longer prompts take longer and show more sparsity.",
    unit: "tokens",
  }),
  depth: option(z.number().min(0).max(1).default(0.5), {
    description: "Where the needle stands: 0 at the start, 1 at the end.",
    unit: "fraction",
  }),
  seed: option(z.int().min(0).max(0xffffffff).default(1), {
    description: "Chooses the needle and the order of the haystack.",
  }),
  haystack: option(z.string().min(1).optional(), {
    description: "Text file to fill the prompt with, relative to this file. Default: a built-in text.",
    format: "path",
  }),
});

/** The prompt of a step: exactly one of three. */
export const promptSchema = exactlyOne(
  z.strictObject({
    text: option(z.string().min(1).optional(), { description: "The prompt itself." }),
    file: option(z.string().min(1).optional(), {
      description: "Text file with the prompt, relative to this file.",
      format: "path",
    }),
    needle: option(needleSchema.optional(), {
      description: "A made prompt: a fact hidden in filler text, and a question about it.",
    }),
  }),
);

const prompt = option(promptSchema, { description: "What the model reads." });
const generation = generationSchema.omit({ dense: true });

const generateSchema = generation.extend({ prompt });

const compareSchema = generation.extend({
  prompt,
  runs: option(
    z
      .array(z.enum(["unpruned", "dense", "configured"]))
      .min(1)
      .max(3)
      .refine((runs) => new Set(runs).size === runs.length, "must not repeat a run")
      .optional(),
    {
      description:
        "Which runs to make: without plugins on the weights as they were before any pruning (unpruned), without plugins for the attention (dense), with all plugins (configured). Default: the last two, and unpruned if this file names sparsifiers; it holds a second copy of the model in memory.",
    },
  ),
  rounds: option(z.int().min(1).max(1000).default(1), {
    description: "How often each run is made, all of them in turns; the table shows medians.",
  }),
});

/** Settings of a perplexity measurement, of a step and of `winnow eval perplexity`. */
export const perplexitySchema = z
  .strictObject({
    text: option(z.string().min(1).optional(), {
      description: "Text file to score. Default: a built-in book that the shipped model has not seen.",
      format: "path",
    }),
    length: option(z.int().min(2).max(10_000_000).default(2048), {
      description: "Tokens of a window. Results of different lengths cannot be compared; longer ones are lower.",
      unit: "tokens",
      symbol: "L",
    }),
    stride: option(z.int().min(1).optional(), {
      description:
        "Distance of windows; only the last so many tokens of each count. Default: length, as tables of papers have it.",
      unit: "tokens",
    }),
    windows: option(z.int().min(1).optional(), { description: "At most so many windows. Default: all." }),
    sparse: option(z.enum(["none", "tenth", "half", "all", "decode"]).default("all"), {
      description:
        "Which tokens use weights that choose what to skip: none, the last tenth, the last half or all of a window; decode feeds tokens one at a time instead, which also runs the KV pruners and is slow.",
    }),
    context: option(z.int().min(1).default(1), {
      description: "With sparse: decode, tokens of each window that go through prefill first and do not count.",
      unit: "tokens",
    }),
  })
  .refine(({ length, stride }) => stride === undefined || stride <= length, {
    message: "stride must be at most length",
    path: ["stride"],
  });

export type PerplexitySettings = z.output<typeof perplexitySchema>;

const pruneSchema = z.strictObject({
  out: option(z.string().min(1), {
    description: "Folder of the new model, relative to this file. Must not exist or be empty, unless overwrite is set.",
    format: "path",
  }),
  form: option(z.enum(["plain", "sparse"]).default("plain"), {
    description:
      "plain: ordinary safetensors with zeros, which load anywhere. sparse: the compact format of Winnow, smaller on disk and in memory.",
  }),
  overwrite: option(z.boolean().default(false), { description: "Replace a folder that exists." }),
});

/** Every kind of step: its settings and the name of the function that runs it. A new step is one entry here and one runner. */
export const stepTable = {
  generate: {
    schema: generateSchema,
    runner: "generate",
    description: "Reads a prompt and generates text with the configured plugins.",
  },
  compare: {
    schema: compareSchema,
    runner: "compare",
    description: "Runs one prompt dense and configured in one process, in turns, and prints a table.",
  },
  perplexity: {
    schema: perplexitySchema,
    runner: "perplexity",
    description: "Measures the perplexity of a text with the configured plugins and weights.",
  },
  prune: {
    schema: pruneSchema,
    runner: "prune",
    description: "Runs the sparsifiers under weights and writes the resulting model.",
  },
} as const;

export type StepName = keyof typeof stepTable;
export type StepSettings<Name extends StepName> = z.output<(typeof stepTable)[Name]["schema"]>;
export type PromptSource = z.output<typeof promptSchema>;

/** One step of a pipeline: its name as the only key. */
export type Step = { readonly [Name in StepName]?: StepSettings<Name> };

type OptionalSteps = { [Name in StepName]: z.ZodOptional<(typeof stepTable)[Name]["schema"]> };

const stepShape = Object.fromEntries(
  Object.entries(stepTable).map(([name, { schema, description }]) => [
    name,
    option(schema.optional(), { description }),
  ]),
) as unknown as OptionalSteps;

export const stepSchema = exactlyOne(z.strictObject(stepShape));

/** A step taken apart, discriminated by `name`. */
export type StepEntry = {
  [Name in StepName]: {
    readonly name: Name;
    readonly runner: (typeof stepTable)[Name]["runner"];
    readonly settings: StepSettings<Name>;
  };
}[StepName];

export function stepEntry(step: Step): StepEntry {
  const [name, settings] = Object.entries(step).find(([, value]) => value !== undefined) as [StepName, unknown];
  return { name, runner: stepTable[name].runner, settings } as StepEntry;
}
