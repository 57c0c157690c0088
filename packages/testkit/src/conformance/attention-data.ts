import { elementAt, type FloatDtype, type HeadTensor, headsFirst } from "@winnow/core";
import { Seeded } from "../seeded.js";
import { dotTolerance, type Tolerance, unitRoundoff } from "../tolerance.js";

export interface AttentionShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headDim: number;
  readonly dtype: FloatDtype;
}

export interface AttentionData {
  readonly q: HeadTensor;
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  readonly scale: number;
}

/** Normal q, k and v; K and V lie in caches with room for 3 more tokens, filled with NaN so that reading there shows. */
export function randomAttention(seed: number, shape: AttentionShape): AttentionData {
  const seeded = new Seeded(seed);
  const { queryHeads, kvHeads, queryLength, keyLength, headDim, dtype } = shape;
  const cache = (): HeadTensor => {
    const capacity = keyLength + 3;
    const data = seeded.stored(kvHeads * capacity * headDim, dtype);
    const nan = dtype === "bf16" ? 0x7fc0 : Number.NaN;
    for (let head = 0; head < kvHeads; head++) {
      data.fill(nan, (head * capacity + keyLength) * headDim, (head + 1) * capacity * headDim);
    }
    return { ...headsFirst(data, kvHeads, capacity, headDim), length: keyLength };
  };
  const q = headsFirst(seeded.normals(queryHeads * queryLength * headDim), queryHeads, queryLength, headDim);
  return { q, k: cache(), v: cache(), scale: 1 / Math.sqrt(headDim) };
}

/** Float32 tensor of the shape of `x`, NaN everywhere, so that what is not written shows. */
export function emptyLike(x: HeadTensor): HeadTensor {
  const data = new Float32Array(x.heads * x.length * x.headDim).fill(Number.NaN);
  return headsFirst(data, x.heads, x.length, x.headDim);
}

/**
 * Tolerances of attention outputs and log-sum-exponentials. An error e of a score changes its weight by a factor of exp(e); weights sum to 1,
 * so outputs change by at most 2 e max|v|. The factor 3 leaves room for the scaling, the subtraction and the exponential.
 * With bf16, each side rounds its weights relative to a maximum of its own.
 */
export function attentionTolerance({ q, k, v, scale }: AttentionData): { out: Tolerance; logSumExp: Tolerance } {
  const magnitude = scale * largestNorm(q) * largestNorm(k);
  const scoreError = 3 * dotTolerance("f32", k.headDim, magnitude).atol;
  const sumError = dotTolerance("f32", k.length, 1).atol;
  const weightError = k.dtype === "bf16" ? 4 * unitRoundoff.bf16 : 0;
  return {
    out: { atol: (2 * scoreError + 2 * sumError + weightError) * largestNorm(v), rtol: 2 * unitRoundoff.f32 },
    logSumExp: { atol: scoreError + sumError + weightError, rtol: 2 * unitRoundoff.f32 },
  };
}

function largestNorm(x: HeadTensor): number {
  let largest = 0;
  for (let head = 0; head < x.heads; head++) {
    for (let token = 0; token < x.length; token++) {
      let squares = 0;
      for (let c = 0; c < x.headDim; c++) squares += elementAt(x, head, token, c) ** 2;
      largest = Math.max(largest, squares);
    }
  }
  return Math.sqrt(largest);
}
