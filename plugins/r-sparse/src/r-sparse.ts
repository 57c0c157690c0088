import {
  channelsWeight,
  finiteWeights,
  type ModelShape,
  projections,
  sampledStatistic,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import { type Budget, budgetOf, type Setting } from "./budget.js";
import { factorsOf } from "./factors.js";
import type { RSparseOptions } from "./options.js";
import { scoresOf, thresholdOf } from "./scores.js";
import { readTable } from "./table.js";

/**
 * R-Sparse (arXiv 2504.19449): input channels whose |x_j| * ||W_:,j|| exceeds a threshold are multiplied exactly, the others through the truncated SVD of W:
 * y = W (x * m) + bias + U_r S_r V_r^T (x * (1 - m)). With ratio 1 channels compete by |x_j| and the rest is dropped; with ratio 0 all go through the SVD.
 * The threshold is the k-th smallest score over the calibration text, k = floor(count * tau). Returns channels in `context.dtype`, factors too.
 *
 * Cost: a truncated SVD of rank r and O(out * in + n log n) per matrix, for n sampled inputs. Errors: `ERR_CALIBRATION` where the sample of inputs is
 * missing, empty or not finite, `ERR_MODEL_TENSOR` for weights that are not finite; from the table `ERR_CONFIG_FILE`, `ERR_CONFIG_SYNTAX`,
 * `ERR_OPTION_RANGE`, `ERR_PLAN_CONFLICT`.
 */
export function rSparse(options: RSparseOptions, model: ModelShape): WeightSparsifier {
  const table = options.table === undefined ? undefined : readTable(options.table, model);
  return {
    statistics: ["inputs"],
    sparsify(context) {
      const { weight, dtype, layer, projection, operations } = context;
      const { outFeatures, inFeatures } = weight;
      const values = finiteWeights(context, weight);
      const setting = table?.[layer * projections.length + projections.indexOf(projection)] ?? options;
      const budget = budgetOf(outFeatures, inFeatures, setting, table ? 1 : 0);
      const scale = budget.mode === "both" ? operations.columnNorms(values, outFeatures, inFeatures) : undefined;
      const threshold = exactThreshold(context, setting, budget, scale);
      const factors =
        budget.rank === 0
          ? undefined
          : factorsOf(operations.truncatedSvd(values, outFeatures, inFeatures, budget.rank), budget.rank, dtype);
      const selection = { rule: "threshold", thresholds: Float32Array.of(threshold), ...(scale && { scale }) } as const;
      return channelsWeight(weight, dtype, selection, factors);
    },
  };
}

/** Infinity, which no channel exceeds, where the factors do everything. */
function exactThreshold(context: WeightContext, setting: Setting, budget: Budget, scale?: Float32Array): number {
  const { outFeatures, inFeatures } = context.weight;
  const { mode, channels, rank, channelSparsity } = budget;
  const scores =
    mode === "low-rank" ? undefined : scoresOf(sampledStatistic(context, "inputs", context.weight.inFeatures), scale);
  const threshold = scores ? thresholdOf(scores, channelSparsity) : Infinity;
  context.report?.({
    sparsity: setting.sparsity,
    ratio: setting.ratio,
    rank,
    channelSparsity,
    weightsRead: (channels * outFeatures + rank * (inFeatures + outFeatures)) / (inFeatures * outFeatures),
    ...(scores && { threshold, skippedShare: scores.filter((score) => score <= threshold).length / scores.length }),
  });
  return threshold;
}
