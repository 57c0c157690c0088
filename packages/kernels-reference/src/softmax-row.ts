import { fromBf16, type HeadTensor, toBf16 } from "@winnow/core";

/**
 * Softmax attention of one query over a list of keys, in float64. With a bf16 cache, the query and the unnormalised weights e^(s - max) are
 * rounded to bf16 before their products; the sum of the weights is not rounded.
 */
export class SoftmaxRow {
  private readonly query: Float64Array;
  private readonly sums: Float64Array;
  private readonly rounds: boolean;
  /** Scaled scores of the last row, in the order of its keys. */
  readonly scores: Float64Array;

  constructor(
    private readonly k: HeadTensor,
    private readonly v: HeadTensor,
    private readonly scale: number,
  ) {
    this.query = new Float64Array(k.headDim);
    this.sums = new Float64Array(k.headDim);
    this.scores = new Float64Array(k.length);
    this.rounds = k.dtype === "bf16";
  }

  /**
   * Query (head, row) of `q` over the first `count` of `keys`, into the same place of `out`. Returns the natural log of the sum of exponentials.
   */
  attend(
    q: HeadTensor,
    out: HeadTensor,
    head: number,
    row: number,
    kvHead: number,
    keys: Int32Array,
    count: number,
  ): number {
    const { query, sums, scores, k, v } = this;
    const width = k.headDim;
    const queryPlace = q.offset + head * q.headStride + row * q.tokenStride;
    for (let c = 0; c < width; c++) query[c] = this.round(q.data[queryPlace + c]);

    let max = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < count; t++) {
      const place = k.offset + kvHead * k.headStride + keys[t] * k.tokenStride;
      let dot = 0;
      for (let c = 0; c < width; c++) dot += query[c] * this.stored(k, place + c);
      scores[t] = dot * this.scale;
      if (scores[t] > max) max = scores[t];
    }

    sums.fill(0);
    let total = 0;
    for (let t = 0; t < count; t++) {
      const weight = Math.exp(scores[t] - max);
      total += weight;
      const rounded = this.round(weight);
      const place = v.offset + kvHead * v.headStride + keys[t] * v.tokenStride;
      for (let c = 0; c < width; c++) sums[c] += rounded * this.stored(v, place + c);
    }

    const outPlace = out.offset + head * out.headStride + row * out.tokenStride;
    for (let c = 0; c < width; c++) out.data[outPlace + c] = sums[c] / total;
    return max + Math.log(total);
  }

  private round(x: number): number {
    return this.rounds ? fromBf16(toBf16(x)) : x;
  }

  private stored(x: HeadTensor, place: number): number {
    return this.rounds ? fromBf16(x.data[place]) : x.data[place];
  }
}

/** Bytes of one key and one value. */
export function bytesPerCell(k: HeadTensor): number {
  return 2 * k.headDim * (k.dtype === "bf16" ? 2 : 4);
}
