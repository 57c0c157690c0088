import { statisticOf, type WeightContext, WinnowError } from "@winnow/core";
import type { SparseGptOptions } from "./options.js";

export interface InverseHessian {
  /** `[in, in]`, upper triangular U with `(H + lambda I)^-1 = U^T U`. */
  readonly factor: Float32Array;
  /** Input features that are 0 in every calibration token. */
  readonly dead: readonly number[];
  /** The share of the mean diagonal that made H positive definite: `damping`, or more after retries. */
  readonly damping: number;
}

/** `H = (2 / sequences) * sum over all tokens of x x^T`, `[in, in]`. */
export function scaledHessian(context: WeightContext): Float32Array {
  const { sequences, tokens } = context.statistics;
  const sums = statisticOf(context, "hessian");
  if (sequences >= 1 && tokens >= 1) return sums.map((sum) => (sum * 2) / sequences);
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot prune ${context.projection} of layer ${context.layer}: sparsegpt needs at least one calibration token, got ${tokens} in ${sequences} sequences. ` +
      "Give more calibration text.",
  );
}

/**
 * Factor of the inverse of H, with 1 on the diagonal of dead features. Changes `h`. Where H is not positive definite, damping grows tenfold, `dampingRetries`
 * times at most; then `ERR_CALIBRATION`. O(in^3).
 */
export function invertHessian(
  h: Float32Array,
  { damping, dampingRetries }: Pick<SparseGptOptions, "damping" | "dampingRetries">,
  { weight: { inFeatures }, operations, layer, projection }: WeightContext,
): InverseHessian {
  const dead: number[] = [];
  let trace = 0;
  for (let j = 0; j < inFeatures; j++) {
    const diagonal = j * inFeatures + j;
    if (h[diagonal] === 0) {
      dead.push(j);
      h[diagonal] = 1;
    }
    trace += h[diagonal];
  }
  const factor = new Float32Array(h.length);
  let column = -1;
  for (let retry = 0; retry <= dampingRetries; retry++) {
    const share = damping * 10 ** retry;
    column = operations.inverseCholesky(h, inFeatures, (share * trace) / inFeatures, factor);
    if (column < 0) return { factor, dead, damping: share };
  }
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot prune ${projection} of layer ${layer}: its Hessian must be positive definite, but column ${column} fails with damping ${damping} and ${dampingRetries} retries of ten times ` +
      "more. Raise damping or dampingRetries, or give more calibration text.",
  );
}
