import type { DensePanelWeight, DenseWeight, GatedRowsWeight, LinearWeight, WeightTarget } from "./linear-weight.js";
import type { Mask } from "./mask.js";
import type { KeptElements, PackedRows } from "./packed-rows.js";
import type { FloatData, FloatDtype, HeadTensor } from "./tensor.js";

/**
 * The operations that kernel packages implement. All are synchronous, run inside a worker, and write into buffers of the caller.
 *
 * Rules for every implementation:
 * - sizes and indices are checked before anything is computed; a bad one throws a `WinnowError` with code `ERR_OPERATION_ARGUMENT`;
 * - the result does not depend on the number of threads, and (kernels-native) not on the instruction set: same bits;
 * - where a selection follows (top-k), ties go to the lower index.
 */
export interface Operations extends DenseOperations, AttentionOperations, Primitives, LinearAlgebra {}

/** Set to a non-zero value by another thread to make a running operation stop early with `ERR_CANCELLED`. One element, shared memory. */
export type CancelFlag = Int32Array;

export interface DenseOperations {
  /** Re-lays a weight `[out, in]` for {@link DenseOperations.linear}, converting to `dtype`. Output memory is shared (`SharedArrayBuffer`), so that all workers use one copy. O(out * in). */
  packWeight(weight: DenseWeight, dtype: FloatDtype): DenseWeight | DensePanelWeight;

  /**
   * A dense weight `[out, in]` in another format, in shared memory. `bitmap` and `groups` store what is not zero (-0 is zero); a row with more than `keep` non-zeros in a
   * group is refused with `ERR_WEIGHT_FORMAT`. O(out * in).
   */
  encodeWeight(weight: DenseWeight, target: WeightTarget): LinearWeight;

  /** The matrix `[out, in]` of a weight of any format, row-major; low-rank factors and selections are left out. int8 gives f32. O(out * in). */
  decodeWeight(weight: LinearWeight): DenseWeight;

  /**
   * `out[r, o] = sum_i x[r, i] * weight[o, i] + bias[o]`; x `[rows, in]`, out `[rows, out]` (or `+=` with `accumulate`), contiguous float32.
   * The last `sparseRows` rows (default 0) use the selection of a weight that has one; all others are multiplied with the whole matrix. Several rows share one
   * pass over a compressed weight. Returns the bytes of the weight that were read. O(rows * stored), stored being the weights that the format holds or
   * the selection keeps, out * in if dense.
   */
  linear(
    x: Float32Array,
    rows: number,
    weight: LinearWeight,
    out: Float32Array,
    accumulate?: boolean,
    sparseRows?: number,
  ): number;

  /**
   * Gated MLP of one row, up to the down projection: activates `gate` `[out]` in place, selects entries S of it by the weight's selection, and writes
   * `out[o] = gate[o] * (weight[o] . x + bias[o])` for o in S and 0 elsewhere; only rows in S are read. x `[in]`, out `[out]`, float32. Returns the bytes
   * of the weight that were read. O(out + |S| * in).
   */
  gatedLinear(
    x: Float32Array,
    gate: Float32Array,
    weight: GatedRowsWeight,
    activation: Activation,
    out: Float32Array,
  ): number;

  /** Row `ids[r]` of a `[vocab, width]` table into `out[r]`, converted to float32; out `[ids.length, width]`. O(ids.length * width). */
  embed(ids: Int32Array, table: FloatData, width: number, out: Float32Array): void;

  /** `out[r, c] = x[r, c] / sqrt(mean_c(x[r]^2) + epsilon) * weight[c]`; x and out `[rows, width]`, may be the same array. The sum is taken in float64. O(rows * width). */
  rmsNorm(x: Float32Array, rows: number, width: number, weight: Float32Array, epsilon: number, out: Float32Array): void;

  /**
   * Rotary embedding in place, half-split form: channels c and c + d/2 form a pair, turned by the angle of the token's position.
   * `cos`, `sin`: `[positions, d / 2]` tables; token t of `x` uses row `positions[t]`. x must be float32. O(heads * n * d).
   */
  rope(x: HeadTensor, positions: Int32Array, cos: Float32Array, sin: Float32Array): void;

  /** `gate[i] = activation(gate[i]) * up[i]` for the first `count` elements of both. O(count). */
  gatedActivation(gate: Float32Array, up: Float32Array, count: number, activation: Activation): void;

  /** `x[i] += y[i]` for the first `count` elements of both. O(count). */
  add(x: Float32Array, y: Float32Array, count: number): void;
}

/** `silu`: x / (1 + e^-x); `gelu`: exact (erf); `gelu-tanh`: tanh form; `relu`. */
export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu";

export interface AttentionOperations {
  /**
   * Copies tokens of `source` `[hKv, n, d]` (float32) to tokens [start, start + n) of `target` `[hKv, capacity, d]`, converting to its type. Heads must
   * agree. O(hKv * n * d).
   */
  storeTokens(source: HeadTensor, target: HeadTensor, start: number): void;

  /**
   * Keeps tokens `kept` (ascending; `keptOffsets[g]..keptOffsets[g + 1]` are those of KV head g) of each head of `x`, moving them to the front of
   * `target`, which may be `x` itself; both `[hKv, n, d]`. O(kept.length * d).
   */
  gatherTokens(x: HeadTensor, kept: Int32Array, keptOffsets: Int32Array, target: HeadTensor): void;

  /**
   * Softmax attention of many queries over masks, by flash tiles: skipped cells are never computed. `[h, n, d]` to `[h, n, d]`. O(cells * d), cells being
   * the query-key pairs of the masks, h * n^2 / 2 if dense.
   */
  prefillAttention(task: PrefillAttention): AttentionCost;

  /**
   * Softmax attention of one query per head over the cache or over index lists. `[h, 1, d]` to `[h, 1, d]`. O(tokens * d), tokens being those read, summed
   * over query heads.
   */
  decodeAttention(task: DecodeAttention): AttentionCost;

  /**
   * Writes the kept elements of all rows of `source` `[hKv, n, d]` (of the same type as `target`) to tokens [start, start + n) of `target`. O(n * hKv * d).
   */
  packTokens(source: HeadTensor, elements: KeptElements, target: PackedRows, start: number): void;

  /**
   * As `decodeAttention` over all cached tokens, the oldest of which are packed: only their stored elements are read. `[h, 1, d]` to `[h, 1, d]`.
   * O(h * tokens * d).
   */
  packedAttention(task: PackedAttention): AttentionCost;
}

export interface PrefillAttention {
  /** `[h, n, d]`, float32. */
  readonly q: HeadTensor;
  /** `[hKv, n, d]`, float32 (then all arithmetic is float32) or bf16 (then q and the weights are rounded to bf16, sums are float32). */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  /** `[h, n, d]`, float32; may be the same memory as `q` with the same strides. */
  readonly out: HeadTensor;
  /** Usually 1 / sqrt(d). */
  readonly scale: number;
  /** One per query head, or a single one for all. */
  readonly masks: readonly Mask[];
  /** `[h, n]`: natural log of the sum of exponentials of each row, if wanted. */
  readonly logSumExp?: Float32Array;
  readonly cancel?: CancelFlag;
}

export interface DecodeAttention {
  /** `[h, 1, d]`, float32. */
  readonly q: HeadTensor;
  /** `[hKv, length, d]`; tokens [0, length) are cached. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  /** `[h, 1, d]`, float32. */
  readonly out: HeadTensor;
  readonly scale: number;
  /** What is read. Absent: all cached tokens. */
  readonly tokens?: TokenLists;
  /** Tokens cached per KV head where heads differ (<= k.length). */
  readonly lengths?: Int32Array;
  /** `[h, k.length]`: receives the scaled scores q.k of every token read densely (only without `tokens`). */
  readonly scores?: Float32Array;
  /** `[h]`. */
  readonly logSumExp?: Float32Array;
}

export interface PackedAttention {
  /** `[h, 1, d]`, float32. */
  readonly q: HeadTensor;
  /** The first tokens of the cache; as many of K as of V, at least one. They may keep different numbers of elements. */
  readonly packedK: PackedRows;
  readonly packedV: PackedRows;
  /** `[hKv, length, d]`: the tokens that follow, at least one, of the same type as the packed ones. */
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  /** `[h, 1, d]`, float32. */
  readonly out: HeadTensor;
  readonly scale: number;
  /** `[h]`. */
  readonly logSumExp?: Float32Array;
}

/** Ascending token indices of each query head: head i reads `indices[offsets[i] .. offsets[i + 1])`, never empty. */
export interface TokenLists {
  readonly indices: Int32Array;
  readonly offsets: Int32Array;
}

/** Measured by the kernel, not assumed. */
export interface AttentionCost {
  /** Query-key cells whose score was computed, summed over heads, masked ones of edge tiles included. */
  readonly cellsComputed: number;
  /** Bytes of K and V read from the cache. */
  readonly bytesRead: number;
}

/**
 * Heavy steps of estimation. A plugin is TypeScript in the paper's terms over these; one that loops over n x n itself is wrong.
 */
export interface Primitives {
  /**
   * `out[r, j] = scale * q[head, r] . k[kvHead, j]` for `r` in queries of `q` and all keys; `out` is `[q.length, k.length]`.
   * With `causalOffset`, entries j > causalOffset + r are -Infinity. O(nQ * nK * d).
   */
  scores(task: ScoreTask, out: Float32Array): void;

  /** Softmax of each row in place, `[rows, columns]`; a row of all -Infinity becomes zeros. Entries at -Infinity become 0. O(rows * columns). */
  softmaxRows(x: Float32Array, rows: number, columns: number): void;

  /** `out[j] = sum_r x[r, j]`; x `[rows, columns]`, out `[columns]`. O(rows * columns). */
  columnSums(x: Float32Array, rows: number, columns: number, out: Float32Array): void;

  /**
   * `out[o] = sum_r x[r, (columns - rows + r) - o]` for o in 0..columns-1, terms left of column 0 dropped: sums along diagonals by distance from the causal
   * one; x `[rows, columns]`, out `[columns]`. O(rows * columns).
   */
  diagonalSums(x: Float32Array, rows: number, columns: number, out: Float32Array): void;

  /**
   * Mean over blocks of `blockSize` tokens of one head: out `[blocks, d]`, with blocks = ceil(length / blockSize) or more.
   * The divisor is always `blockSize`: tokens beyond the end count as zeros. O(n * d).
   */
  poolMean(x: HeadTensor, head: number, blockSize: number, out: Float32Array): void;

  /** `out[a, b] = scale * x[a] . y[b]`; x `[rows, d]`, y `[columns, d]`, out `[rows, columns]`, contiguous float32. O(rows * columns * d). */
  outerScores(x: Float32Array, y: Float32Array, d: number, scale: number, out: Float32Array): void;

  /** Indices of the `k` largest of `values[start .. end)`, relative to `start`, ascending, `[k]`; ties go to the lower index; NaN is refused. O(n). */
  topK(values: Float32Array, k: number, start?: number, end?: number): Int32Array;

  /** {@link Primitives.topK} of each row of `[rows, columns]`; result `[rows, k]`, relative to the row. O(rows * columns). */
  topKRows(values: Float32Array, rows: number, columns: number, k: number): Int32Array;

  /** Smallest m such that the m largest values sum to at least `mass * total`, and their indices `[m]`, ascending (ties: lower index). O(n log n). */
  prefixMass(values: Float32Array, mass: number, start?: number, end?: number): Int32Array;
}

export interface ScoreTask {
  readonly q: HeadTensor;
  readonly k: HeadTensor;
  readonly head: number;
  readonly kvHead: number;
  readonly scale: number;
  readonly causalOffset?: number;
}

/**
 * Heavy steps of pruning. Sums are float64 or blocked float32 and do not depend on the number of threads; matrices are row-major and contiguous.
 * NaN or infinity in an input throws ERR_NON_FINITE with its place.
 */
export interface LinearAlgebra {
  /**
   * `gram += x^T x`; x `[rows, width]`, gram `[width, width]`, symmetric, both triangles. Float32 sums over at most 512 rows, then added.
   * O(rows * width^2).
   */
  accumulateGram(x: Float32Array, rows: number, width: number, gram: Float32Array): void;

  /**
   * The upper triangular U with `(h + damping * I)^-1 = U^T U` of a symmetric h `[n, n]`, in float64; zeros below the diagonal.
   * Reads the upper triangle of h; `out` may be h; damping >= 0. Returns -1, or the column where the factorisation met a pivot that is not positive
   * beyond rounding, n * 2^-52 of the diagonal (then `out` is undefined). O(n^3).
   */
  inverseCholesky(h: Float32Array, n: number, damping: number, out: Float32Array): number;

  /**
   * The `rank` largest singular values of a `[rows, columns]`, descending, with `u` `[rows, rank]` and `v` `[columns, rank]`:
   * a ~ u diag(s) v^T. Relative accuracy of s about 1e-6, but not finer than 2^-22 of the first; values of at most 2^-23 of the first are zero, with
   * zero vectors. The sign makes the largest entry of each column of u positive (ties: the lower row). Same result every time.
   * O(rows * columns * min(rows, columns)).
   */
  truncatedSvd(a: Float32Array, rows: number, columns: number, rank: number): TruncatedSvd;

  /** `c += alpha * a b`; a `[m, k]`, b `[k, n]`, c `[m, n]`, rows `strideA`, `strideB`, `strideC` elements apart. c is not searched for NaN. O(m n k). */
  multiplyAdd(task: MultiplyTask): void;

  /** L2 norm of each column of `[rows, columns]`, sums in float64; result `[columns]`. O(rows * columns). */
  columnNorms(x: Float32Array, rows: number, columns: number): Float32Array;
}

export interface TruncatedSvd {
  readonly u: Float32Array;
  readonly s: Float32Array;
  readonly v: Float32Array;
}

export interface MultiplyTask {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
  readonly a: Float32Array;
  readonly strideA: number;
  readonly b: Float32Array;
  readonly strideB: number;
  /** Must not overlap a or b. */
  readonly c: Float32Array;
  readonly strideC: number;
}
