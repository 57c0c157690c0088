import { type DenseWeight, toBf16 } from "@winnow/core";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { WeightShape } from "./weight-budgets.js";

/** Prime, so that the repeated numbers do not line up with the rows of a matrix. */
const PERIOD = 262_139;

/** Numbers in [0, 1) that repeat after {@link PERIOD}: drawing each weight of a large matrix would take longer than measuring it. */
export function repeatedUniform(seed: number): (index: number) => number {
  const random = xoroshiro128plus(seed);
  const values = Float64Array.from({ length: PERIOD }, () => uniformFloat64(random));
  return (index) => values[index % PERIOD];
}

/** Random bf16 weights in [-scale, scale), never 0. Same seed, same weights. */
export function randomBf16(length: number, scale: number, seed: number): Uint16Array {
  const uniform = repeatedUniform(seed);
  const period = Uint16Array.from({ length: Math.min(length, PERIOD) }, (_, e) => {
    const bits = toBf16(scale * (2 * uniform(e) - 1));
    return (bits & 0x7fff) === 0 ? toBf16(scale / 2) : bits;
  });
  const data = new Uint16Array(new SharedArrayBuffer(2 * length));
  for (let start = 0; start < length; start += PERIOD) data.set(period.subarray(0, length - start), start);
  return data;
}

/** A dense weight without zeros whose products with numbers of size 1 have size 1. */
export function randomWeight({ outFeatures, inFeatures }: WeightShape, seed = 1): DenseWeight {
  const data = randomBf16(outFeatures * inFeatures, Math.sqrt(3 / inFeatures), seed);
  return { format: "dense", dtype: "bf16", outFeatures, inFeatures, data };
}

/** A copy in which each weight is 0 with a probability of `zeros`. */
export function withRandomZeros(weight: DenseWeight, zeros: number, seed = 2): DenseWeight {
  const uniform = repeatedUniform(seed);
  const data = weight.data.slice() as Uint16Array;
  for (let e = 0; e < data.length; e++) if (uniform(e) < zeros) data[e] = 0;
  return { ...weight, data };
}

/** A copy in which of each 4 neighbours along a row 2 are 0, chosen at random. */
export function withTwoOfFour(weight: DenseWeight, seed = 3): DenseWeight {
  const uniform = repeatedUniform(seed);
  const data = weight.data.slice() as Uint16Array;
  const { inFeatures } = weight;
  for (let row = 0; row < data.length; row += inFeatures) {
    for (let i = 0; i < inFeatures; i += 4) {
      const first = Math.floor(4 * uniform(row + i));
      const second = (first + 1 + Math.floor(3 * uniform(row + i + 1))) % 4;
      for (const place of [first, second]) if (i + place < inFeatures) data[row + i + place] = 0;
    }
  }
  return { ...weight, data };
}
