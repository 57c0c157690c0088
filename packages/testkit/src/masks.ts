import { bandMask, denseMask, intersectMasks, type Mask, unionMasks } from "@winnow/core";
import type { Seeded } from "./seeded.js";

/** One mask of every form over n tokens, with a title; random ones come from `seeded`. All are valid. */
export function sampleMasks(seeded: Seeded, n: number): [title: string, mask: Mask][] {
  const window = bandMask({ sinkTokens: Math.min(n, 3), recentTokens: Math.max(1, n >> 2) });
  const verticalSlash = randomVerticalSlash(seeded, n);
  return [
    ["dense", denseMask],
    ["diagonal only", bandMask({ sinkTokens: 0, recentTokens: 1 })],
    ["sinks and window", window],
    ["sinks, window and dense last rows", bandMask({ sinkTokens: 1, recentTokens: 5, denseFromRow: n - (n >> 3) })],
    ...[16, 32, 48, 64, 100, 128].map((size): [string, Mask] => [`blocks of ${size}`, randomBlocks(seeded, n, size)]),
    ["vertical-slash", verticalSlash],
    ["vertical-slash within a window", intersectMasks(verticalSlash, window, n)],
    ["two windows at once", intersectMasks(window, bandMask({ sinkTokens: n >> 1, recentTokens: 2 }), n)],
    ["vertical-slash or a window", unionMasks(verticalSlash, window, n)],
  ];
}

/** Each block on or below the diagonal is kept with probability 1/2, and at least one per row. */
export function randomBlocks(seeded: Seeded, n: number, blockSize: number): Mask {
  const blocks = Math.ceil(n / blockSize);
  const bits = new Uint8Array(blocks * blocks);
  for (let a = 0; a < blocks; a++) {
    for (let b = 0; b <= a; b++) bits[a * blocks + b] = seeded.integer(0, 1);
    bits[a * blocks + seeded.integer(0, a)] = 1;
  }
  return { form: "blocks", blockSize, bits };
}

export function randomVerticalSlash(seeded: Seeded, n: number, exact = false): Mask {
  const columns = seeded.subset(Math.ceil(n / 10), n);
  const slashes = seeded.subset(Math.ceil(n / 40), n).reverse();
  return { form: "vertical-slash", columns, slashes, exact };
}
