import type { DenseWeight, LinearWeight } from "./linear-weight.js";
import type { Primitives } from "./operations.js";

/** Which of a layer's matrices; the names of the model files without prefix and suffix. */
export type Projection = "q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj";

/** Statistics of a matrix's inputs that calibration can gather, each over all calibration tokens. */
export interface CalibrationStatistics {
  readonly tokens: number;
  /** `[in]` sqrt(sum of squares). */
  readonly norm?: Float32Array;
  /** `[in]`. */
  readonly mean?: Float32Array;
  /** `[in]`, population variance. */
  readonly variance?: Float32Array;
  /** `[in, in]` sum of outer products x x^T. */
  readonly hessian?: Float32Array;
}

export type StatisticName = Exclude<keyof CalibrationStatistics, "tokens">;

/** Turns one weight matrix into a sparse one, offline or at load time. */
export interface WeightSparsifier {
  readonly statistics: readonly StatisticName[];
  sparsify(context: WeightContext): LinearWeight;
}

export interface WeightContext {
  readonly layer: number;
  readonly projection: Projection;
  /** Row-major `[out, in]`. */
  readonly weight: DenseWeight;
  readonly statistics: CalibrationStatistics;
  readonly primitives: Primitives;
}

/** Small form: only scores weights. `core` selects per {@link SparsityPattern}. */
export interface WeightScorer {
  readonly statistics: readonly StatisticName[];
  /** Float32 `[out, in]`; the lowest scores are removed. */
  score(context: WeightContext): Float32Array;
}

/** Which weights compete with each other. */
export type SparsityPattern =
  /** `sparsity` of each row, `floor(in * sparsity)` weights, is removed. */
  | { readonly pattern: "row"; readonly sparsity: number }
  /** `floor(out * in * sparsity)` weights of the whole matrix are removed. */
  | { readonly pattern: "matrix"; readonly sparsity: number }
  /** Of each `of` neighbours along a row, `keep` stay. A shorter last group keeps `min(keep, size)`. */
  | { readonly pattern: "groups"; readonly keep: number; readonly of: number };
