import { describe, expect, test } from "vitest";
import { InputSums } from "./statistics.js";

const all = ["norm", "mean", "variance", "withinVariance"] as const;

/** Sequences of two-channel rows through sums, chunks of `chunk` rows each. */
function gather(sequences: readonly (readonly [number, number])[][], chunk = 100) {
  const sums = new InputSums(2, all);
  for (const rows of sequences) {
    for (let start = 0; start < rows.length; start += chunk) {
      const part = rows.slice(start, start + chunk);
      sums.add(Float32Array.from(part.flat()), part.length);
    }
    sums.endSequence();
  }
  return sums.result(sequences.flat().length, sequences.length);
}

describe("InputSums", () => {
  test("gives the values of a worked example: two sequences, two channels", () => {
    const { norm, mean, variance, withinVariance, tokens, sequences } = gather([
      [
        [1, 0],
        [3, 0],
      ],
      [
        [7, 5],
        [9, 5],
      ],
    ]);
    expect({ tokens, sequences }).toEqual({ tokens: 4, sequences: 2 });
    expect([...norm!]).toEqual([Math.fround(Math.sqrt(140)), Math.fround(Math.sqrt(50))]);
    expect([...mean!]).toEqual([5, 2.5]);
    expect([...variance!]).toEqual([10, 6.25]);
    expect([...withinVariance!]).toEqual([1, 0]);
  });

  test("gives variance 0 to a constant channel, and keeps a small variance beside a large mean", () => {
    const rows = Array.from({ length: 7 }, (_, row) => [0.1, 2048 + (row % 2) / 4096] as const);
    const { variance, withinVariance } = gather([rows, rows], 3);
    expect([variance![0], withinVariance![0]]).toEqual([0, 0]);
    expect(variance![1]).toBeCloseTo((3 / 7) * (4 / 7) * 4096 ** -2, 12);
  });

  test("gives the bits of one go where parts of whole sequences are merged in order", () => {
    const rows = (seed: number) =>
      Array.from({ length: 5 }, (_, r) => [Math.sin(seed + r), Math.cos(seed * r)] as const);
    const part = (sequence: readonly (readonly [number, number])[]) => {
      const sums = new InputSums(2, all);
      sums.add(Float32Array.from(sequence.flat()), sequence.length);
      sums.endSequence();
      return sums.part();
    };
    const merged = new InputSums(2, all);
    for (const seed of [1, 2, 3]) merged.addPart(part(rows(seed)));
    const { mean, variance, withinVariance } = gather([rows(1), rows(2), rows(3)]);
    expect(merged.result(15, 3)).toMatchObject({ mean, variance, withinVariance });
  });

  test("holds only what was asked for", () => {
    const sums = new InputSums(3, ["hessian"]);
    sums.add(Float32Array.of(1, 2, 3), 1);
    expect(Object.keys(sums.result(1, 1))).toEqual(["tokens", "sequences", "hessian"]);
    expect(sums.hessian).toHaveLength(9);
  });
});
