import { channelsWeight, finiteWeights, type WeightContext, type WeightSparsifier, WinnowError } from "@winnow/core";

/**
 * Of a token's inputs x to a matrix only those count whose magnitude exceeds a threshold, so that the other columns are not read:
 * y = W (x * [|x| > t]) + bias. The threshold of a matrix is the quantile `sparsity` of |x| over the calibration text.
 * O(out * in + m log m) per matrix for m sampled inputs.
 */
export function smallChannels({ sparsity }: { readonly sparsity: number }): WeightSparsifier {
  return {
    statistics: ["inputs"],
    sparsify(context) {
      finiteWeights(context, context.weight);
      const magnitudes = sampledInputs(context).map(Math.abs).sort();
      const threshold = magnitudes[Math.floor(sparsity * (magnitudes.length - 1))];
      context.report?.({ threshold });
      return channelsWeight(context.weight, context.dtype, {
        rule: "threshold",
        thresholds: Float32Array.of(threshold),
      });
    },
  };
}

function sampledInputs({ statistics: { inputs }, layer, projection }: WeightContext): Float32Array {
  if (inputs?.length && inputs.every(Number.isFinite)) return inputs;
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot sparsify ${projection} of layer ${layer}: the sampled inputs must be finite numbers, got ${inputs?.length ? "others" : "none"}. Check the calibration text.`,
  );
}
