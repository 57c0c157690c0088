import { type DenseWeight, finiteWeights, type WeightContext } from "@winnow/core";

/**
 * Bit patterns of |w| as float32, `[out * in]`: integers that are ordered as the magnitudes are, so that weights can be counted instead of sorted.
 * -0 is 0. Throws `ERR_MODEL_TENSOR` for NaN and infinity.
 */
export function magnitudeBits(context: Pick<WeightContext, "layer" | "projection" | "weight">): Uint32Array {
  const values = finiteWeights(context, context.weight);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length).slice();
  for (let e = 0; e < bits.length; e++) bits[e] &= 0x7fffffff;
  return bits;
}

/** The magnitude that a pattern stands for. */
export function magnitudeOf(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0];
}

/** Weights in each bin of the upper 15 bits of the magnitude: exactly its value if the weight is bf16. */
export function countHigh(bits: Uint32Array): Uint32Array {
  const counts = new Uint32Array(1 << 15);
  for (let e = 0; e < bits.length; e++) counts[bits[e] >>> 16]++;
  return counts;
}

/** Weights by the lower 16 bits of the magnitude, among those in bin `high`. */
export function countLow(bits: Uint32Array, high: number): Uint32Array {
  const counts = new Uint32Array(1 << 16);
  for (let e = 0; e < bits.length; e++) if (bits[e] >>> 16 === high) counts[bits[e] & 0xffff]++;
  return counts;
}

/** The bin that holds the element with `rank` others before it (0: the smallest), and the number of elements in the bins before that bin. */
export function locate(counts: ArrayLike<number>, rank: number): { readonly bin: number; readonly before: number } {
  let before = 0;
  let bin = 0;
  while (before + counts[bin] <= rank) before += counts[bin++];
  return { bin, before };
}

/** What goes: every weight whose pattern is below `bits`, and the first `ties` of those that have it. */
export interface Cut {
  readonly bits: number;
  readonly ties: number;
}

/** The `count` smallest; of equal ones the first. O(n). */
export function smallest(bits: Uint32Array, count: number): Cut {
  const high = locate(countHigh(bits), count - 1);
  const low = locate(countLow(bits, high.bin), count - 1 - high.before);
  return { bits: high.bin * 65536 + low.bin, ties: count - high.before - low.before };
}

/** A copy of the weight without what the cut takes. */
export function cutWeight(weight: DenseWeight, bits: Uint32Array, { bits: limit, ties }: Cut): DenseWeight {
  const data = weight.data.slice() as typeof weight.data;
  let left = ties;
  for (let e = 0; e < bits.length; e++) {
    if (bits[e] > limit || (bits[e] === limit && left-- <= 0)) continue;
    data[e] = 0;
  }
  return { ...weight, data };
}
