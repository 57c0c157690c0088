import { type LinearWeight, weightBytes } from "@winnow/core";
import { linearWeights, type ModelWeights } from "@winnow/models";

/** The matrices of a model that are held in one format. */
export interface WeightFormatSummary {
  readonly format: string;
  readonly dtype: string;
  readonly matrices: number;
  readonly bytes: number;
  /** Share of the weights that are not stored; null where the format stores all. */
  readonly zeros: number | null;
}

/** Formats in order of their first use. Cost: O(matrices). */
export function summarizeWeightFormats(model: ModelWeights): WeightFormatSummary[] {
  const groups = new Map<string, LinearWeight[]>();
  for (const weight of linearWeights(model)) {
    const key = `${weight.format} ${weight.dtype}`;
    groups.set(key, [...(groups.get(key) ?? []), weight]);
  }
  return [...groups.values()].map((weights) => ({
    format: weights[0].format,
    dtype: weights[0].dtype,
    matrices: weights.length,
    bytes: weights.reduce((sum, weight) => sum + weightBytes(weight), 0),
    zeros: zerosOf(weights),
  }));
}

function zerosOf(weights: readonly LinearWeight[]): number | null {
  let stored = 0;
  let all = 0;
  for (const weight of weights) {
    const { outFeatures, inFeatures } = weight;
    all += outFeatures * inFeatures;
    if (weight.format === "bitmap") stored += weight.offsets[weight.offsets.length - 1];
    else if (weight.format === "groups") stored += (outFeatures * inFeatures * weight.keep) / weight.of;
    else return null;
  }
  return 1 - stored / all;
}
