import { type BlockMask, bandMask, type Mask, QUERY_BLOCK, type VerticalSlashMask } from "@winnow/core";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";

export interface MaskCase {
  readonly name: string;
  /** One per query head, all different where they are random. */
  readonly masks: readonly Mask[];
}

const blockDensities = [0.05, 0.1, 0.2, 0.3, 0.5];
const bands = [
  { sinkTokens: 64, recentTokens: 1024 },
  { sinkTokens: 128, recentTokens: 4096 },
  { sinkTokens: 1000, recentTokens: 8192 },
];
const verticalSlashes = [
  { columns: 100, slashes: 100 },
  { columns: 500, slashes: 200 },
  { columns: 1000, slashes: 500 },
];

/** Masks of every form over n tokens, `heads` of each. Sizes beyond n are cut to n. */
export function maskCases(n: number, heads: number, seed = 1): MaskCase[] {
  const random = xoroshiro128plus(seed);
  const perHead = (make: () => Mask) => Array.from({ length: heads }, make);
  return [
    ...blockDensities.map((density) => ({
      name: `blocks ${density}`,
      masks: perHead(() => randomBlocks(n, density, random)),
    })),
    ...bands.map((band) => ({
      name: `band ${band.sinkTokens} + ${band.recentTokens}`,
      masks: [bandMask(band)],
    })),
    ...verticalSlashes.map(({ columns, slashes }) => ({
      name: `vertical-slash ${columns} / ${slashes}`,
      masks: perHead(() => randomLines(n, Math.min(n, columns), Math.min(n, slashes), random)),
    })),
  ];
}

/** Each 64 x 64 block below the diagonal kept with probability `density`; the diagonal always. */
export function randomBlocks(n: number, density: number, random: RandomGenerator): BlockMask {
  const blocks = Math.ceil(n / QUERY_BLOCK);
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++) {
    for (let b = 0; b < a; b++) bits[a * blocks + b] = uniformFloat64(random) < density ? 1 : 0;
    bits[a * blocks + a] = 1;
  }
  return { form: "blocks", blockSize: QUERY_BLOCK, bits };
}

/** Random columns; half of the diagonals next to the main one, as real heads have them, and half anywhere. */
export function randomLines(n: number, columns: number, slashes: number, random: RandomGenerator): VerticalSlashMask {
  const near = Math.ceil(slashes / 2);
  return {
    form: "vertical-slash",
    columns: Int32Array.from(subset(n, columns, new Set(), random)).sort(),
    slashes: Int32Array.from(subset(n, slashes, new Set(Array(near).keys()), random))
      .sort()
      .reverse(),
    exact: false,
  };
}

/** `count` different numbers below n, those of `start` among them. */
function subset(n: number, count: number, start: Set<number>, random: RandomGenerator): Set<number> {
  while (start.size < count) start.add(uniformInt(random, 0, n - 1));
  return start;
}
