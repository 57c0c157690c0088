import type { Mask } from "@winnow/core";
import { bandOf, combineMasks, type InnerMasks, innerMasks, innerPairs, type MaskName, pairsOf } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const masks: InnerMasks = { ...innerMasks };
const plan = (names: readonly MaskName[], n: number) => combineMasks(plugin, masks, names, n);

const ascending = (pairs: Iterable<number>) => [...pairs].sort((a, b) => a - b);

function intersection(names: readonly string[], head: number, n: number): Set<number> {
  const sets = names.map((name) => innerPairs(masks, name, head, n));
  const pairs = new Set<number>();
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) if (i === j || sets.every((set) => set.has(i * n + j))) pairs.add(i * n + j);
  return pairs;
}

describe("intersect-masks", () => {
  const cases = [
    ["blocks64", "band"],
    ["band", "wide"],
    ["blocks16", "slashes"],
    ["odd", "blocks64", "wide"],
    ["perHead", "blocks16"],
    ["dense", "slashes"],
    ["dense", "dense"],
  ];
  it.each(cases.flatMap((names) => [1, 2, 63, 64, 65, 150].map((n) => ({ names, n }))))(
    "intersect-masks of $names over $n tokens keeps exactly the pairs that all sets share, and the diagonal",
    ({ names, n }) => {
      const planned = plan(names, n);
      for (let head = 0; head < 3; head++) {
        const mask = planned[planned.length === 1 ? 0 : head];
        expect(ascending(pairsOf(mask, n))).toEqual(ascending(intersection(names, head, n)));
      }
    },
  );

  it("intersect-masks leaves each row its diagonal where the masks share nothing else", () => {
    masks.first = [(n) => rowsKeep(n, 0)];
    masks.second = [(n) => rowsKeep(n, 1)];
    const [mask] = plan(["first", "second"], 4);
    expect(ascending(pairsOf(mask, 4))).toEqual([0, 5, 10, 15]);
  });

  it("intersect-masks nested three deep keeps what all share", () => {
    const n = 130;
    const [mask] = plan(["blocks64", ["slashes", ["wide", "blocks16"]]], n);
    const expected = intersection(["blocks64", "slashes", "wide", "blocks16"], 0, n);
    expect(ascending(pairsOf(mask, n))).toEqual(ascending(expected));
  });

  it("intersect-masks returns one mask where every inner masker returns one, else one per head", () => {
    expect(plan(["blocks16", "band"], 20)).toHaveLength(1);
    expect(plan(["blocks16", "perHead"], 20)).toHaveLength(3);
  });

  it("intersect-masks fails with what to do where more than eight bands come together", () => {
    for (let t = 0; t < 9; t++) masks[`band${t}`] = [bandOf(t, 70 + t)];
    const names = Array.from({ length: 9 }, (_, t) => `band${t}`);
    expect(() => plan([names.slice(0, 3), names.slice(3)], 150)).toThrow("Combine fewer sliding windows");
  });

  const a = { plugin: "a" };
  it.each([{ of: [] }, { of: [a] }, { of: Array(9).fill(a) }, { of: [a, { options: {} }] }, { of: "a" }, {}])(
    "intersect-masks refuses %j",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );
});

/** Row i keeps itself while i is below 2, later one key only: key 0 or 1. */
function rowsKeep(n: number, key: number): Mask {
  const keys = Int32Array.from({ length: n }, (_, i) => Math.min(i, key));
  return {
    form: "ranges",
    blockSize: 1,
    rangeOffsets: new Int32Array(n + 1),
    ranges: new Int32Array(0),
    rangeFlags: new Uint8Array(0),
    columnOffsets: Int32Array.from({ length: n + 1 }, (_, i) => i),
    columns: keys,
    bands: [],
  };
}
