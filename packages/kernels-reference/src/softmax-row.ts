import { fromBf16, type HeadTensor, toBf16 } from "@winnow/core";

/** Keys that share one pass over the query or over the sums: four independent sums keep the processor busy. */
const KEY_BLOCK = 4;

/**
 * Softmax attention of one query over rows of one KV head, in float64. With a bf16 cache, the query and the unnormalised weights e^(s - max)
 * are rounded to bf16 before their products; the sum of the weights is not rounded.
 */
export class SoftmaxRow {
  private readonly query: Float64Array;
  private readonly sums: Float64Array;
  /** Places of the keys in `k` and `v`, padded to a multiple of the key block. */
  private readonly places: Int32Array;
  private readonly weights: Float64Array;
  /** Scaled scores of the last row, in the order of its keys. */
  readonly scores: Float64Array;

  /** `k`, `v`: `[n, headDim]`, from `headRows`. `rounds`: whether the cache is bf16. */
  constructor(
    private readonly k: Float32Array,
    private readonly v: Float32Array,
    private readonly headDim: number,
    private readonly scale: number,
    private readonly rounds: boolean,
  ) {
    const capacity = k.length / headDim + KEY_BLOCK;
    this.query = new Float64Array(headDim);
    this.sums = new Float64Array(headDim);
    this.places = new Int32Array(capacity);
    this.weights = new Float64Array(capacity);
    this.scores = new Float64Array(capacity);
  }

  /**
   * Query (head, row) of `q` over the first `count` of `keys`, into the same place of `out`. Returns the natural log of the sum of exponentials.
   */
  attend(q: HeadTensor, out: HeadTensor, head: number, row: number, keys: Int32Array, count: number): number {
    const { query, sums, scores, places, weights, headDim } = this;
    const queryPlace = q.offset + head * q.headStride + row * q.tokenStride;
    for (let c = 0; c < headDim; c++) query[c] = this.round(q.data[queryPlace + c]);
    const padded = Math.ceil(count / KEY_BLOCK) * KEY_BLOCK;
    // The padding repeats the last key, with weight 0.
    for (let t = 0; t < padded; t++) places[t] = keys[Math.min(t, count - 1)] * headDim;

    for (let t = 0; t < padded; t += KEY_BLOCK) this.scoreBlock(t);
    let max = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < count; t++) if (scores[t] > max) max = scores[t];

    let total = 0;
    for (let t = 0; t < count; t++) {
      const weight = Math.exp(scores[t] - max);
      total += weight;
      weights[t] = this.round(weight);
    }
    weights.fill(0, count, padded);
    sums.fill(0);
    for (let t = 0; t < padded; t += KEY_BLOCK) this.addBlock(t);

    const outPlace = out.offset + head * out.headStride + row * out.tokenStride;
    for (let c = 0; c < headDim; c++) out.data[outPlace + c] = sums[c] / total;
    return max + Math.log(total);
  }

  private scoreBlock(t: number): void {
    const { query, k, places, scores, scale, headDim } = this;
    const [p0, p1, p2, p3] = [places[t], places[t + 1], places[t + 2], places[t + 3]];
    let [dot0, dot1, dot2, dot3] = [0, 0, 0, 0];
    for (let c = 0; c < headDim; c++) {
      const x = query[c];
      dot0 += x * k[p0 + c];
      dot1 += x * k[p1 + c];
      dot2 += x * k[p2 + c];
      dot3 += x * k[p3 + c];
    }
    scores[t] = dot0 * scale;
    scores[t + 1] = dot1 * scale;
    scores[t + 2] = dot2 * scale;
    scores[t + 3] = dot3 * scale;
  }

  private addBlock(t: number): void {
    const { sums, v, places, weights, headDim } = this;
    const [p0, p1, p2, p3] = [places[t], places[t + 1], places[t + 2], places[t + 3]];
    const [w0, w1, w2, w3] = [weights[t], weights[t + 1], weights[t + 2], weights[t + 3]];
    for (let c = 0; c < headDim; c++) {
      sums[c] += w0 * v[p0 + c] + w1 * v[p1 + c] + w2 * v[p2 + c] + w3 * v[p3 + c];
    }
  }

  private round(x: number): number {
    return this.rounds ? fromBf16(toBf16(x)) : x;
  }
}

/** Bytes of one key and one value. */
export function bytesPerCell(k: HeadTensor): number {
  return 2 * k.headDim * (k.dtype === "bf16" ? 2 : 4);
}
