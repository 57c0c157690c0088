import { finiteWeights, sampledStatistic, type WeightContext, type WeightSurvey, WinnowError } from "@winnow/core";

interface LayerNorms {
  readonly layer: number;
  /** `[neurons]`: L2 norm of each column of down_proj. */
  readonly norms: Float32Array;
}

/** Hands each up_proj the column norms of its down_proj. */
export const outputNorms: WeightSurvey = {
  measure: (context) => (context.projection === "down_proj" ? columnNorms(context) : undefined),
  combine: (matrices) =>
    matrices.flatMap(({ layer, projection, value }) =>
      projection === "down_proj" ? [{ layer, norms: value } as LayerNorms] : [],
    ),
};

/**
 * The smallest k so that, with the k neurons of largest magnitude for each token, those hold at least `mass` of the sum of |hidden| * ||W_down column||
 * over all sampled tokens. Magnitude is that of the hidden activation for down_proj, of the activated gate for up_proj.
 */
export function automaticKeep(context: WeightContext, mass: number): number {
  const { magnitudes, hidden, norms } =
    context.projection === "up_proj" ? ofUpProjection(context) : ofDownProjection(context);
  const shares = contributionsByRank(magnitudes, hidden, norms);
  const total = shares.reduce((sum, share) => sum + share, 0);
  let keep = 0;
  for (let sum = 0; keep < shares.length && sum < mass * total; keep++) sum += shares[keep];
  return keep;
}

function ofDownProjection(context: WeightContext) {
  const hidden = sampledStatistic(context, "inputs", context.weight.inFeatures);
  return { magnitudes: hidden, hidden, norms: columnNorms(context) };
}

function ofUpProjection(context: WeightContext) {
  const { weight, layer, operations } = context;
  const norms = (context.survey as LayerNorms[] | undefined)?.find((entry) => entry.layer === layer)?.norms;
  if (norms?.length !== weight.outFeatures) {
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `Cannot choose keep for up_proj of layer ${layer}: keep: auto with rankBy: gate needs down_proj of the same layer under the same entry. Add it to projections.`,
    );
  }
  finiteWeights(context, weight);
  const x = sampledStatistic(context, "inputs", weight.inFeatures);
  const gate = sampledStatistic(context, "activatedGate", weight.outFeatures);
  const hidden = new Float32Array(gate.length);
  operations.linear(x, x.length / weight.inFeatures, operations.packWeight(weight, "f32"), hidden);
  for (let e = 0; e < hidden.length; e++) hidden[e] *= gate[e];
  return { magnitudes: gate, hidden, norms };
}

/** `[neurons]`: what the neuron of each rank contributes, summed over tokens. Ties rank by index. */
function contributionsByRank(magnitudes: Float32Array, hidden: Float32Array, norms: Float32Array): Float64Array {
  const neurons = norms.length;
  const sums = new Float64Array(neurons);
  const order = new Uint32Array(neurons);
  for (let start = 0; start < hidden.length; start += neurons) {
    const row = magnitudes.subarray(start, start + neurons).map(Math.abs);
    for (let i = 0; i < neurons; i++) order[i] = i;
    order.sort((a, b) => row[b] - row[a] || a - b);
    for (let rank = 0; rank < neurons; rank++) sums[rank] += Math.abs(hidden[start + order[rank]]) * norms[order[rank]];
  }
  return sums;
}

function columnNorms(context: Omit<WeightContext, "statistics">): Float32Array {
  const { weight, operations } = context;
  return operations.columnNorms(finiteWeights(context, weight), weight.outFeatures, weight.inFeatures);
}
