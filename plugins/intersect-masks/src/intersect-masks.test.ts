import {
  type InnerPlugins,
  keeps,
  lowerMask,
  type Mask,
  type Masker,
  type MaskerContext,
  type PluginReference,
  validateMask,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 2, queryHeads: 3, kvHeads: 1, headDim: 4, contextLength: 512 };

/** Key blocks drawn with a fixed seed, the diagonal among them. */
function blocks(blockSize: number, seed: number): (n: number) => Mask {
  return (n) => {
    const count = Math.ceil(n / blockSize);
    const bits = new Uint8Array(count * count);
    for (let a = 0; a < count; a++)
      for (let b = 0; b <= a; b++) bits[a * count + b] = Number(a === b || ((a * 31 + b * 17 + seed) * 7919) % 5 < 2);
    return { form: "blocks", blockSize, bits };
  };
}

const band =
  (sinkTokens: number, recentTokens: number) =>
  (n: number): Mask => ({ form: "band", sinkTokens, recentTokens, denseFromRow: n });

const slashes = (n: number): Mask => ({
  form: "vertical-slash",
  columns: Int32Array.of(0, 5).filter((j) => j < n),
  slashes: Int32Array.of(70, 3, 0).filter((offset) => offset < n),
  exact: false,
});

const dense = (): Mask => ({ form: "dense" });

/** Inner maskers by name: one mask for all heads, or one per head. */
const masks: Record<string, readonly ((n: number) => Mask)[]> = {
  blocks64: [blocks(64, 1)],
  blocks16: [blocks(16, 2)],
  odd: [blocks(7, 3)],
  band: [band(2, 9)],
  wide: [band(0, 70)],
  slashes: [slashes],
  dense: [dense],
  perHead: [blocks(32, 4), band(1, 1), dense],
};

const plugins = {
  masker({ plugin: name, options }): Masker {
    if (name === "intersect-masks") return plugin.create(plugin.options.parse(options), model, plugins);
    return { plan: ({ q }) => masks[name].map((mask) => mask(q.length)) };
  },
} as InnerPlugins;

/** Names become references, lists of them a nested intersect-masks. */
const reference = (name: unknown): PluginReference =>
  typeof name === "string"
    ? { plugin: name, options: {} }
    : { plugin: "intersect-masks", options: { of: (name as unknown[]).map(reference) } };

function plan(names: readonly unknown[], n: number): readonly Mask[] {
  const of = names.map(reference);
  const context = { model, layer: 0, heads: { start: 0, end: 3 }, q: { length: n } } as unknown as MaskerContext;
  const planned = plugin.create(plugin.options.parse({ of }), model, plugins).plan(context);
  for (const mask of planned) validateMask(mask, n);
  return planned;
}

/** Pairs that the kernels compute of a mask, as an explicit set. */
function pairsOf(mask: Mask, n: number): Set<number> {
  const lowered = lowerMask(mask, n);
  const pairs = new Set<number>();
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) if (keeps(lowered, i, j, n)) pairs.add(i * n + j);
  return pairs;
}

const innerPairs = (name: string, head: number, n: number) => pairsOf((masks[name][head] ?? masks[name][0])(n), n);

const ascending = (pairs: Iterable<number>) => [...pairs].sort((a, b) => a - b);

function intersection(names: readonly string[], head: number, n: number): Set<number> {
  const sets = names.map((name) => innerPairs(name, head, n));
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
    for (let t = 0; t < 9; t++) masks[`band${t}`] = [band(t, 70 + t)];
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
