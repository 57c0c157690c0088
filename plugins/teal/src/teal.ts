import { channelsWeight, finiteWeights, type ModelShape, sampledStatistic, type WeightSparsifier } from "@winnow/core";
import type { TealOptions } from "./options.js";
import { thresholdsOf } from "./quantile.js";
import { readTable, requireLevel, shareAt } from "./table.js";

/**
 * TEAL (arXiv 2408.14690): of a matrix's inputs only those count whose magnitude exceeds a threshold, y = W (x * [|x| > t]) + bias; the others' columns
 * of W are not read. t is a quantile of the inputs over the calibration text. Matrices that share their input (q, k, v; gate, up) and their share of
 * sparsity share t. Returns channels in `context.dtype`.
 *
 * Cost: O(out * in + n log n) per matrix for n sampled inputs. Errors: `ERR_CALIBRATION` where the sample of inputs is missing, empty or not finite,
 * `ERR_MODEL_TENSOR` for weights that are not finite; from the table `ERR_CONFIG_FILE`, `ERR_CONFIG_SYNTAX`, `ERR_OPTION_RANGE`, `ERR_PLAN_CONFLICT`.
 */
export function teal({ sparsity, quantile, table: path }: TealOptions, model: ModelShape): WeightSparsifier {
  const table = path === undefined ? undefined : readTable(path, model);
  if (table) requireLevel(table, sparsity, path!);
  return {
    statistics: ["inputs"],
    sparsify(context) {
      const { weight, dtype, layer, projection } = context;
      finiteWeights(context, weight);
      const share = table ? shareAt(table, layer, projection, sparsity) : sparsity;
      const inputs = sampledStatistic(context, "inputs", context.weight.inFeatures);
      const threshold = Math.fround(thresholdsOf(inputs, quantile)(share));
      context.report?.({ sparsity: share, threshold, skippedShare: shareUpTo(inputs, threshold) });
      return channelsWeight(weight, dtype, { rule: "threshold", thresholds: Float32Array.of(threshold) });
    },
  };
}

function shareUpTo(inputs: Float32Array, threshold: number): number {
  let skipped = 0;
  for (const x of inputs) if (Math.abs(x) <= threshold) skipped++;
  return skipped / inputs.length;
}
