import {
  type BlockScorer,
  denseMask,
  type FloatDtype,
  type Mask,
  type Masker,
  type MaskerContext,
  type ModelShape,
  maskerFromBlockScorer,
  maskStatistics,
  type PluginDefinition,
  WinnowError,
} from "@winnow/core";
import { loadNative, type NativeOperations } from "@winnow/kernels-native";
import { type Conditions, conditions } from "./conditions.js";
import { addHeadStructure } from "./head-structure.js";
import { interleave, type Rounds, ratioOf, type Spread, spreadOf } from "./measure.js";
import { type AttentionShape, inCache, type Operands, randomOperands } from "./operands.js";

export interface EstimateBenchOptions extends Rounds {
  /** A masker or block scorer. */
  readonly plugin: PluginDefinition;
  /** Its options; what is left out takes the default. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly shape: AttentionShape;
  readonly lengths: readonly number[];
  readonly dtypes: readonly FloatDtype[];
  readonly threads: number;
}

export interface EstimateRow {
  readonly length: number;
  /** Type of keys and values. */
  readonly dtype: FloatDtype;
  /** `estimate`: choosing the masks of all heads; `sparse`: attention with them; `dense`: attention without. */
  readonly milliseconds: Readonly<Record<"estimate" | "sparse" | "dense", Spread>>;
  /** Time of the estimate / time of dense attention, round by round. */
  readonly share: Spread;
  /** Dense attention / (estimate + sparse attention). */
  readonly speedup: Spread;
  /** Kept pairs / causal pairs, mean over heads. */
  readonly density: number;
}

export interface EstimateBench {
  readonly bench: "estimate";
  readonly conditions: Conditions;
  readonly plugin: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly shape: AttentionShape;
  readonly rows: readonly EstimateRow[];
}

/**
 * What it costs a masker to choose the masks of one layer, against dense attention of the same layer in the same rounds.
 * Operands are random with attention sinks and a preference for near keys; `bench prefill` gives the share on a real model. Blocks this thread while it runs.
 */
export async function benchEstimate(options: EstimateBenchOptions): Promise<EstimateBench> {
  const { plugin, shape, lengths, dtypes, threads } = options;
  const model: ModelShape = { layers: 1, contextLength: Math.max(...lengths), ...shape };
  const chosen = checkedOptions(plugin, options.options, model);
  const masker = makeMasker(plugin, chosen, model);
  const native = loadNative({ threads });
  try {
    const cases = lengths.flatMap((length) => dtypes.map((dtype) => ({ length, dtype })));
    const rows: EstimateRow[] = [];
    for (const [index, { length, dtype }] of cases.entries()) {
      const onProgress = (share: number, label: string) =>
        options.onProgress?.((index + share) / cases.length, `${label}, ${length} tokens, ${dtype}`);
      const operands = addHeadStructure(randomOperands(shape, length));
      const stored = { ...operands, ...inCache(operands, dtype) };
      rows.push({ length, dtype, ...(await measure(native, masker, model, stored, { ...options, onProgress })) });
    }
    return { bench: "estimate", conditions: conditions(native), plugin: plugin.id, options: chosen, shape, rows };
  } finally {
    native.close();
  }
}

function checkedOptions(
  plugin: PluginDefinition,
  options: Readonly<Record<string, unknown>>,
  model: ModelShape,
): Record<string, unknown> {
  const parsed = plugin.options.safeParse(options);
  const problem = parsed.success ? plugin.check?.(parsed.data, model)[0] : parsed.error.issues[0];
  if (parsed.success && !problem) return parsed.data;
  const path = problem!.path.join(".") || "options";
  throw new WinnowError("ERR_OPTION_RANGE", `Cannot use plugin "${plugin.id}": ${path}: ${problem!.message}`);
}

function makeMasker(plugin: PluginDefinition, options: Record<string, unknown>, model: ModelShape): Masker {
  if (plugin.kind === "masker") return plugin.create(options, model) as Masker;
  if (plugin.kind === "block-scorer") return maskerFromBlockScorer(plugin.create(options, model) as BlockScorer);
  throw new WinnowError(
    "ERR_USAGE",
    `Cannot measure plugin "${plugin.id}": it must be a masker or a block-scorer, got a ${plugin.kind}. Name another one.`,
  );
}

async function measure(
  native: NativeOperations,
  masker: Masker,
  model: ModelShape,
  operands: Operands,
  rounds: Rounds,
): Promise<Omit<EstimateRow, "length" | "dtype">> {
  const { q, k, scale } = operands;
  const heads = { start: 0, end: model.queryHeads };
  const context: MaskerContext = { model, layer: 0, heads, q, k, scale, primitives: native };
  let masks: readonly Mask[] = masker.plan(context);
  const milliseconds = await interleave(
    {
      estimate: () => {
        masks = masker.plan(context);
      },
      sparse: () => native.prefillAttention({ ...operands, masks }),
      dense: () => native.prefillAttention({ ...operands, masks: [denseMask] }),
    },
    rounds,
  );
  const { estimate, sparse, dense } = milliseconds;
  const density = masks.reduce((sum, mask) => sum + maskStatistics(mask, q.length).density, 0) / masks.length;
  const together = spreadOf(estimate.samples.map((value, round) => value + sparse.samples[round]));
  return { milliseconds, share: ratioOf(estimate, dense), speedup: ratioOf(dense, together), density };
}
