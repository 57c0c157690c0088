import {
  type DenseWeight,
  type FloatDtype,
  finiteWeights,
  floatValues,
  keepByScore,
  patternOf,
  statisticOf,
  toBf16,
  type WeightContext,
  WinnowError,
  withoutWeights,
} from "@winnow/core";
import type { DsnotOptions } from "./options.js";

/** Where the refinement starts. All `[out, in]`. */
export interface Start {
  /** With zeros where nothing is kept. */
  readonly weight: DenseWeight;
  /** Where revived weights take their value from. */
  readonly dense: DenseWeight;
  readonly kept: Uint8Array;
  /** Score that made the mask; Wanda's for a given mask. */
  readonly scores: Float32Array;
}

/** The given mask, or the one that the scores of another method make of `context.weight` (per row, or N:M). */
export function startOf(context: WeightContext, options: DsnotOptions): Start {
  const dense = options.initial === "given" ? context.original : context.weight;
  const values = finiteWeights(context, dense);
  if (options.initial === "given") return givenStart(context);
  const { outFeatures, inFeatures } = dense;
  const scores = {
    wanda: () => wandaScores(context, values),
    magnitude: () => values.map(Math.abs),
    sparsegpt: () => obsScores(context, values, options.damping),
  }[options.initial]();
  const kept = keepByScore(scores, outFeatures, inFeatures, patternOf(options), context.operations);
  return { weight: withoutWeights(dense, kept), dense, kept, scores };
}

function givenStart(context: WeightContext): Start {
  const { weight, original: dense, layer, projection } = context;
  if (weight === dense) {
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `Cannot refine ${projection} of layer ${layer}: no sparsifier before dsnot changed it, as initial: given expects. ` +
        "List one before dsnot, restrict dsnot to the matrices that it covers, or choose another initial.",
    );
  }
  const values = finiteWeights(context, weight);
  const kept = new Uint8Array(values.length);
  for (let e = 0; e < kept.length; e++) kept[e] = Number(values[e] !== 0);
  return { weight, dense: withDtype(dense, weight.dtype), kept, scores: wandaScores(context, values) };
}

function withDtype(weight: DenseWeight, dtype: FloatDtype): DenseWeight {
  if (weight.dtype === dtype) return weight;
  const values = floatValues(weight);
  return { ...weight, dtype, data: dtype === "f32" ? values : Uint16Array.from(values, toBf16) };
}

/** |W_ij| * sqrt(Q_j), with Q_j the mean over sequences of the sum of squares. */
export function wandaScores(context: WeightContext, values: Float32Array): Float32Array {
  const norm = statisticOf(context, "norm");
  const scale = 1 / Math.sqrt(context.statistics.sequences);
  return values.map((w, e) => Math.abs(w) * norm[e % norm.length] * scale);
}

/**
 * W_ij^2 / U_jj^2, with (H + lambda I)^-1 = U^T U and H = 2 / sequences * (sum of x x^T): the score of SparseGPT before any weight is updated.
 * A dead input has H_jj = 1 and score 0, as there.
 */
function obsScores(context: WeightContext, values: Float32Array, damping: number): Float32Array {
  const n = context.weight.inFeatures;
  const h = statisticOf(context, "hessian").map((sum) => (2 * sum) / context.statistics.sequences);
  const diagonal = Array.from({ length: n }, (_, j) => j * (n + 1));
  const dead = diagonal.map((place) => h[place] === 0);
  for (let j = 0; j < n; j++) if (dead[j]) h[diagonal[j]] = 1;
  const mean = diagonal.reduce((sum, place) => sum + h[place], 0) / n;
  const u = new Float32Array(n * n);
  const failed = context.operations.inverseCholesky(h, n, damping * mean, u);
  if (failed >= 0) {
    throw new WinnowError(
      "ERR_CALIBRATION",
      `Cannot prune ${context.projection} of layer ${context.layer}: its Hessian is not positive definite at input ${failed} with damping ${damping}. ` +
        "Raise damping, or give more calibration text.",
    );
  }
  return values.map((w, e) => (dead[e % n] ? 0 : (w / u[diagonal[e % n]]) ** 2));
}
