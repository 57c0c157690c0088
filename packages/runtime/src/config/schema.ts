import { option, selectionSchema } from "@winnow/core";
import { z } from "zod";
import { stepSchema } from "./steps.js";
import { calibrationSchema, weightEntrySchema, weightFormatSchema } from "./weights.js";

const pluginOptions = () =>
  option(z.record(z.string(), z.unknown()).default({}), { description: "Options of the plugin, by its own schema." });

const reference = (description: string) => z.string().min(1).meta({ description });

const kernelChoice = (operation: string) =>
  option(z.string().min(1).default("auto"), {
    description: `Kernel package that runs ${operation}: auto, native, onnx, reference, or the id of a kernel plugin.`,
  });

const kernelsSchema = z.strictObject({
  isa: option(z.enum(["auto", "generic", "x86_avx2", "x86_avx512"]).default("auto"), {
    description: "Instruction set of the native kernels; auto takes the best that the processor has.",
  }),
  linear: kernelChoice("projections"),
  prefillAttention: kernelChoice("attention over the prompt"),
  decodeAttention: kernelChoice("attention of one new token"),
  packedAttention: kernelChoice("attention of one new token over compressed cache rows"),
  elementwise: kernelChoice("embedding, normalization, rotary embedding, activation and addition"),
  cache: kernelChoice("writing to and compacting the KV cache"),
  primitives: kernelChoice("the heavy steps of plugins"),
  linearAlgebra: kernelChoice("the heavy steps of pruning"),
  fallback: option(z.enum(["error", "allow"]).default("error"), {
    description:
      "What happens when the wanted kernels cannot run here: stop, or take the next best ones and say so in the receipt.",
  }),
});

const maskerOverride = z
  .strictObject({
    layers: selectionSchema("Layers that this entry covers; absent: all").optional(),
    heads: selectionSchema("Query heads that this entry covers; absent: all").optional(),
    masker: reference("Masker for these layers and heads, or dense. Options of the section around are not inherited."),
    options: pluginOptions(),
  })
  .refine((override) => override.layers !== undefined || override.heads !== undefined, {
    message: "must name layers, heads or both, got none",
    params: { code: "ERR_OPTION_MISSING", complete: true },
  });

const prunerOverride = z.strictObject({
  layers: selectionSchema("Layers that this entry covers"),
  heads: z
    .never({
      error: "must be absent: all heads of a layer share one cache, so a KV pruner covers whole layers",
    })
    .optional(),
  kvPruner: reference("KV pruner for these layers, or none. Options of the section around are not inherited."),
  options: pluginOptions(),
});

const prefillSchema = z.strictObject({
  masker: reference("Masker of the prompt's attention: an id, a package name, a relative path, or dense.").default(
    "dense",
  ),
  options: pluginOptions(),
  overrides: option(z.array(maskerOverride).max(10_000).default([]), {
    description: "Other maskers for some layers and heads. Where entries overlap, the later one wins.",
  }),
});

const decodeSchema = z.strictObject({
  kvPruner: reference("KV pruner of decoding: an id, a package name, a relative path, or none.").default("none"),
  options: pluginOptions(),
  overrides: option(z.array(prunerOverride).max(10_000).default([]), {
    description: "Other KV pruners for some layers. Where entries overlap, the later one wins.",
  }),
});

const limitsSchema = z.strictObject({
  pluginCallSeconds: option(z.number().min(0).max(86_400).default(60), {
    description:
      "A call of a plugin that takes longer fails with the plugin's name, and its worker is replaced; 0: no limit.",
    unit: "seconds",
  }),
  sparsifySeconds: option(z.number().min(0).max(604_800).default(3600), {
    description:
      "The same for one matrix given to a weight sparsifier, which may take minutes where the matrix is large; 0: no limit.",
    unit: "seconds",
  }),
  tuneSeconds: option(z.number().min(0).max(604_800).default(43_200), {
    description: "The same for a whole search of winnow tune, which runs the model many times; 0: no limit.",
    unit: "seconds",
  }),
  pluginCallMegabytes: option(
    z
      .union([
        z.literal("auto"),
        z
          .int()
          .min(0)
          .max(1 << 24),
      ])
      .default("auto"),
    {
      description:
        "Memory that the process may grow by while a call of a plugin runs, typed arrays included; auto: three quarters of what is free when the call begins; 0: no limit.",
      unit: "megabytes",
    },
  ),
  workerMemoryMegabytes: option(
    z
      .int()
      .min(64)
      .max(1 << 20)
      .default(4096),
    {
      description:
        "JavaScript objects of one worker; a plugin that makes more fails. Weights, caches and typed arrays do not count; see pluginCallMegabytes.",
      unit: "megabytes",
    },
  ),
});

/** Schema of a pipeline file, apart from the options of plugins, which each plugin's own schema describes. */
export const pipelineSchema = z.strictObject({
  model: option(z.string().min(1), {
    description: "Folder of the model (config.json, safetensors, tokenizer.json), relative to this file.",
    format: "path",
  }),
  precision: option(z.enum(["bf16", "f32"]).default("bf16"), {
    description: "Arithmetic of projections and attention, and type of the KV cache. f32 is slower and exact.",
  }),
  workers: option(z.int().min(1).max(256).default(1), {
    description: "Worker threads, each running one sequence at a time. More serve more sequences at once.",
  }),
  threads: option(z.union([z.literal("auto"), z.int().min(1).max(1024)]).default("auto"), {
    description: "Threads inside an operation, per worker; auto: available cores / workers, at least 1.",
  }),
  kernels: option(kernelsSchema.prefault({}), { description: "Which kernels run the operations." }),
  prefill: option(prefillSchema.prefault({}), { description: "What attention over the prompt computes." }),
  decode: option(decodeSchema.prefault({}), { description: "What decoding reads from the KV cache and keeps in it." }),
  weights: option(z.array(weightEntrySchema).max(1000).default([]), {
    description:
      "Sparsifiers of the weights, in order; each works on what the one before it left. Without a prune step they run when the model is loaded.",
  }),
  calibration: option(calibrationSchema.prefault({}), { description: "Text that sparsifiers gather statistics on." }),
  weightFormat: weightFormatSchema,
  plugins: option(z.array(z.string().min(1)).max(1000).default([]), {
    description:
      "More plugins: package names, or paths of a module or of a package folder, relative to this file. A package runs when it is used, a module is loaded for every plan.",
  }),
  limits: option(limitsSchema.prefault({}), { description: "What code of plugins may take before it is stopped." }),
  steps: option(z.array(stepSchema).max(10_000).default([]), { description: "What to do, in order." }),
  output: option(
    z
      .strictObject({
        receipt: option(z.string().min(1).default("runs/receipt.json"), {
          description: "Where the receipt is written, relative to the current folder.",
        }),
      })
      .prefault({}),
    { description: "Files that are written." },
  ),
});

export type PipelineConfig = z.output<typeof pipelineSchema>;
export type WorkerLimits = PipelineConfig["limits"];
/** What may be written: everything but `model` has a default. */
export type PipelineInput = z.input<typeof pipelineSchema>;
