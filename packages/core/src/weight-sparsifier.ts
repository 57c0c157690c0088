import type { DenseWeight, LinearWeight } from "./linear-weight.js";
import type { Operations } from "./operations.js";
import type { FloatDtype } from "./tensor.js";

/** Which of a layer's matrices; the names of the model files without prefix and suffix. In order of computation. */
export const projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;

export type Projection = (typeof projections)[number];

/**
 * Statistics of a matrix's inputs, gathered over all calibration tokens with the block that holds the matrix still dense and the blocks before it
 * already sparse. A sparsifier declares those that it reads; others are absent.
 */
export interface CalibrationStatistics {
  /** Tokens of all sequences together. */
  readonly tokens: number;
  readonly sequences: number;
  /** `[in]` sqrt of the sum of squares over all tokens. */
  readonly norm?: Float32Array;
  /** `[in]` over all tokens. */
  readonly mean?: Float32Array;
  /** `[in]` population variance over all tokens. */
  readonly variance?: Float32Array;
  /** `[in]` population variance inside each sequence, averaged over sequences by their tokens. */
  readonly withinVariance?: Float32Array;
  /** `[in, in]` sum of outer products x x^T over all tokens. */
  readonly hessian?: Float32Array;
  /** `[sampled, in]` some of the inputs themselves, evenly spread over the calibration tokens; for quantiles and the like. */
  readonly inputs?: Float32Array;
  /** `[sampled, intermediate]` the activated gate, act(W_gate x), of the same tokens. up_proj and down_proj only. */
  readonly activatedGate?: Float32Array;
}

export type StatisticName = Exclude<keyof CalibrationStatistics, "tokens" | "sequences">;

/**
 * Turns one weight matrix into a sparse one. Offline: runs in a worker, one matrix a task, in any order, so nothing may be kept between calls.
 */
export interface WeightSparsifier {
  readonly statistics: readonly StatisticName[];
  /**
   * Set where results may bring a bias of their own (`[out]` float32): a plain model folder cannot hold one everywhere, and a run that could not be written is then
   * refused before it starts. Biases are rounded to the type of the model's weights, as dense results are.
   */
  readonly changesBias?: boolean;
  /** For methods whose choice in one matrix depends on all matrices: runs on each before any is sparsified. */
  readonly survey?: WeightSurvey;
  /**
   * A dense weight with zeros in it (the caller stores it as the configured format), or a format that chooses what to skip when it runs.
   * To leave the matrix alone, return `context.weight`.
   */
  sparsify(context: WeightContext): LinearWeight;
}

/** Values are plain data; they travel between threads. */
export interface WeightSurvey {
  /** How often all matrices are measured; 1 unless given. */
  readonly passes?: number;
  /** From the second pass on, `context.survey` is what `combine` returned for the pass before. */
  measure(context: Omit<WeightContext, "statistics">): unknown;
  /**
   * Measured values in order of layers and projections; the result of the last pass is `context.survey` of every matrix.
   * `previous`: result of the pass before.
   */
  combine(matrices: readonly SurveyedMatrix[], previous?: unknown): unknown;
}

export interface SurveyedMatrix {
  readonly layer: number;
  readonly projection: Projection;
  readonly value: unknown;
}

export interface WeightContext {
  readonly layer: number;
  readonly projection: Projection;
  /** Row-major `[out, in]`: what the sparsifier before this one in the list left, or the model's own. */
  readonly weight: DenseWeight;
  /** The model's own; the same object as `weight` for the first sparsifier. */
  readonly original: DenseWeight;
  readonly statistics: CalibrationStatistics;
  /** Result of {@link WeightSurvey.combine}. */
  readonly survey?: unknown;
  /** Type in which formats that the sparsifier makes itself should hold their values. */
  readonly dtype: FloatDtype;
  readonly operations: Operations;
  /** Takes facts about the result for the run's report, e.g. a threshold and the share that it skips; absent where nobody listens. */
  readonly report?: (facts: Readonly<Record<string, string | number>>) => void;
}

/** Small form: only scores weights. `core` removes the lowest per {@link SparsityPattern}. */
export interface WeightScorer {
  readonly statistics: readonly StatisticName[];
  readonly pattern: SparsityPattern;
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
