import {
  channelsWeight,
  finiteWeights,
  gatedRowsWeight,
  type Selection,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import { automaticKeep, outputNorms } from "./automatic-keep.js";
import { fixedKeep, type LazyNeuronOptions } from "./options.js";

/**
 * Lazy neurons (arXiv 2210.06313): of each token's MLP neurons only the k of largest magnitude count, or those that are not zero.
 * Carried over to gated MLPs: by the activated gate, `up_proj` skips rows and `down_proj` the columns of inputs that are then 0; by the hidden activation,
 * `down_proj` alone skips columns. Ties go to the lower index; zeros never count. A layer that keeps all neurons stays dense, as does attention.
 *
 * Cost: O(out * in) per matrix, once; with `keep: auto` besides O(sampled tokens * f * (log f + hidden)). Errors: `ERR_MODEL_TENSOR` for weights that are
 * not finite; with `keep: auto` `ERR_CALIBRATION` for statistics that are missing or not finite, `ERR_PLAN_CONFLICT` for up_proj without its down_proj.
 */
export function lazyNeuronTopk(options: LazyNeuronOptions): WeightSparsifier {
  const automatic = options.mode === "topk" && options.keep === "auto";
  const byGate = options.rankBy === "gate";
  return {
    statistics: automatic ? (byGate ? ["inputs", "activatedGate"] : ["inputs"]) : [],
    ...(automatic && byGate && { survey: outputNorms }),
    sparsify(context) {
      const { weight, dtype, projection } = context;
      const selection = selectionOf(context, options);
      if (!selection) return weight;
      finiteWeights(context, weight);
      return projection === "up_proj"
        ? gatedRowsWeight(weight, dtype, selection)
        : channelsWeight(weight, dtype, selection);
    },
  };
}

/** Undefined: the matrix stays dense. */
function selectionOf(context: WeightContext, options: LazyNeuronOptions): Selection | undefined {
  const { projection, weight } = context;
  const ranked = options.rankBy === "gate" ? "up_proj" : "down_proj";
  if (projection !== "down_proj" && projection !== ranked) return undefined;
  if (options.mode === "nonzero") return above(projection === ranked ? options.epsilon : 0);

  const neurons = projection === "up_proj" ? weight.outFeatures : weight.inFeatures;
  const fixed = fixedKeep(options, neurons);
  if (fixed === neurons) return undefined;
  if (projection !== ranked) return above(0);
  const keep = fixed ?? automaticKeep(context, options.keepMass);
  context.report?.({ keep, keptShare: keep / neurons });
  return keep === neurons ? undefined : { rule: "largest", keep };
}

function above(threshold: number): Selection {
  return { rule: "threshold", thresholds: Float32Array.of(threshold) };
}
