import { z } from "zod";

const count = z.number().int().min(0);
const milliseconds = z.number().min(0);
const fraction = z.number().min(0);
const headRange = z.object({ start: count, end: count });

const innerMasker = z.object({
  masker: z.string(),
  heads: headRange,
  density: z.array(fraction),
  get inner() {
    return z.array(innerMasker);
  },
});

const innerPruner = z.object({
  kvPruner: z.string(),
  calls: count.describe("Steps in which it chose what is read or what stays; at the end of the prompt 1."),
  tokensRead: count.describe("Sum over calls and query heads."),
  tokensKept: count.describe("Sum over calls and KV heads."),
  get inner() {
    return z.array(innerPruner);
  },
});

const innerPruners = z
  .array(innerPruner)
  .optional()
  .describe("What KV pruners inside this layer's pruner decided; those that were asked.");

const prefillLayer = z.object({
  layer: count,
  estimateMs: milliseconds,
  attentionMs: milliseconds,
  groups: z.array(
    z.object({
      heads: headRange,
      masker: z.string(),
      density: z.array(fraction),
      inner: z.array(innerMasker).optional().describe("What maskers inside a masker returned, by call."),
    }),
  ),
  queryRows: count,
  causalCells: z.number().min(0),
  cellsComputed: z.number().min(0),
  bytesRead: z.number().min(0),
  tokensKept: z.array(count).describe("Per KV head, compressed ones included."),
  tokensCompressed: count.describe("Tokens of each KV head that are stored compressed."),
  cacheBytes: count,
  innerPruners,
});

const decodeLayer = z.object({
  layer: count,
  tokensRead: z.number().min(0),
  tokensCached: z.number().min(0),
  elementsRead: z.number().min(0).describe("Of K and V, sum over steps and query heads; a compressed row has fewer."),
  bytesRead: z.number().min(0),
  tokensCompressed: count.describe("Tokens of each KV head that are stored compressed after the last step."),
  cacheBytes: count.describe("After the last step."),
  selectMs: milliseconds,
  attentionMs: milliseconds,
  innerPruners,
});

/** One run: what was planned, what ran, measured. Field descriptions are the documentation of the published JSON Schema. */
export const receiptSchema = z
  .object({
    format: z.literal("winnow-receipt-1"),
    createdAt: z.iso.datetime(),
    versions: z.object({ winnow: z.string(), node: z.string() }),
    machine: z.object({ cpu: z.string(), cores: count, memoryBytes: count, platform: z.string() }),
    plan: z.record(z.string(), z.unknown()).describe("The resolved plan with the provenance of every value."),
    isa: z.record(z.string(), z.string()).describe("Instruction set of each kernel package that was loaded."),
    variant: z
      .enum(["configured", "dense", "unpruned"])
      .describe(
        "dense: the same kernels without masker and KV pruner; unpruned: also on the weights before any pruning.",
      ),
    prompt: z.object({ tokens: count }),
    answer: z.object({ tokens: count, text: z.string(), finish: z.string() }),
    timing: z.object({
      encodeMs: milliseconds.describe("Text to token ids."),
      timeToFirstTokenMs: milliseconds.describe("From the call to the first token, encoding and queueing included."),
      timePerOutputTokenMs: milliseconds
        .nullable()
        .describe("Mean over the tokens after the first; null if there was none."),
      totalMs: milliseconds,
    }),
    memory: z.object({
      peakBytes: count.describe("Peak resident memory of the process during the run."),
      cacheBytes: count,
    }),
    eventLoop: z.object({
      maxDelayMs: milliseconds.describe("Longest time the caller's event loop was held up during the run."),
    }),
    density: z.object({
      prefillKept: fraction.describe("Kept pairs / causal pairs, mean over layers and heads."),
      prefillComputed: fraction.describe("Cells the kernel computed / causal cells (edge tiles may exceed the mask)."),
      decodeRead: fraction
        .nullable()
        .describe("Tokens read / tokens cached, over steps, layers and heads; null without decode steps."),
      decodeElementsRead: fraction
        .nullable()
        .describe("Elements of K and V read / elements of the cached tokens; below decodeRead if rows are compressed."),
      cacheKept: fraction.describe("Tokens stored / tokens seen at the end of the prompt."),
    }),
    weights: z.object({
      pruned: z
        .object({
          reused: z.boolean().describe("Taken from the cache of an earlier start instead of computed."),
          seconds: z.number().min(0),
        })
        .nullable()
        .describe("How the weights became sparse while the model was loaded; null where no sparsifier ran."),
      bytes: count.describe("Matrices in memory, the head included, the embedding table not."),
      bytesReadPerToken: z
        .number()
        .min(0)
        .nullable()
        .describe("Of the matrices in one decode step, mean; null without decode steps."),
      formats: z.array(
        z.object({
          format: z.string(),
          dtype: z.string(),
          matrices: count,
          bytes: count,
          zeros: fraction
            .nullable()
            .describe("Share of weights that are not stored; null where the format stores all."),
        }),
      ),
    }),
    prefill: z.object({
      tokens: count,
      totalMs: milliseconds,
      projectionMs: milliseconds.describe("Norms, projections, MLP, RoPE and cache writes."),
      estimateMs: milliseconds.describe("Choosing masks."),
      attentionMs: milliseconds.describe("In the attention kernel."),
      pruneMs: milliseconds,
      layers: z.array(prefillLayer),
      cacheBytes: count,
    }),
    decode: z.object({
      tokens: count.describe("Forward steps: one less than the tokens of the answer."),
      totalMs: milliseconds,
      projectionMs: milliseconds,
      selectMs: milliseconds,
      attentionMs: milliseconds,
      weightBytesRead: z.number().min(0),
      layers: z.array(decodeLayer),
    }),
    fallbacks: z.array(z.object({ operation: z.string(), wanted: z.string(), used: z.string(), reason: z.string() })),
  })
  .meta({ title: "Winnow receipt", description: "What one run of Winnow really did." });

export type Receipt = z.output<typeof receiptSchema>;

/** JSON Schema of a receipt. */
export function receiptJsonSchema(): object {
  return z.toJSONSchema(receiptSchema, { target: "draft-7" });
}
