import {
  channelsWeight,
  finiteWeights,
  gatedRowsWeight,
  sampledStatistic,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import type { CatsOptions } from "./options.js";
import { thresholdOf } from "./threshold.js";

/**
 * CATS (arXiv 2404.08763): a neuron of a gated MLP counts only if its activated gate a = act(W_gate x) exceeds a threshold in magnitude.
 * gate_proj stays dense; of up_proj only the rows of counting neurons are read, of down_proj only their columns, for the inputs of all others are 0.
 * The threshold of a layer is a quantile of |a| over the calibration text. Attention is left alone.
 *
 * Cost: O(out * in + sampled tokens * neurons) per layer, once. Errors: `ERR_CALIBRATION` where the activated gates are missing or not finite,
 * `ERR_MODEL_TENSOR` for weights that are not finite.
 */
export function cats(options: CatsOptions): WeightSparsifier {
  return {
    statistics: ["activatedGate"],
    sparsify(context) {
      const { weight, dtype, projection } = context;
      if (projection !== "up_proj" && projection !== "down_proj") return weight;
      finiteWeights(context, weight);
      const threshold = projection === "up_proj" ? gateThreshold(context, options) : 0;
      const selection = { rule: "threshold", thresholds: Float32Array.of(threshold) } as const;
      return projection === "up_proj"
        ? gatedRowsWeight(weight, dtype, selection)
        : channelsWeight(weight, dtype, selection);
    },
  };
}

function gateThreshold(context: WeightContext, options: CatsOptions): number {
  const magnitudes = sampledStatistic(context, "activatedGate", context.weight.outFeatures).map(Math.abs);
  const threshold = Math.fround(thresholdOf(magnitudes, options, context.operations));
  let skipped = 0;
  for (const magnitude of magnitudes) if (magnitude <= threshold) skipped++;
  context.report?.({ threshold, skippedShare: skipped / magnitudes.length });
  return threshold;
}
