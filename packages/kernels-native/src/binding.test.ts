import { afterAll, describe, expect, test } from "vitest";
import { findAddon, type NativeKernels } from "./addon.js";
import { randomHeads, zeroHeads } from "./testing/data.js";

// The binding is called without the TypeScript checks here: whatever passes those by mistake must not lead outside of memory.

const loaded = findAddon();
if (!("addon" in loaded)) throw new Error(loaded.reason);
const { Kernels, instructionSets } = loaded.addon;
const kernels = new Kernels({ threads: 1, isa: "generic" });
afterAll(() => kernels.close());

const floats = (length: number) => new Float32Array(length);
const view = (change: object) => ({ ...randomHeads({ heads: 2, length: 8, headDim: 4 }, 1), ...change });
const out = zeroHeads({ heads: 2, length: 8, headDim: 4 });
const prefill = { q: view({}), k: view({}), v: view({}), out, scale: 1, masks: [{ form: "dense" }] };

/** 1 output of 4 inputs, of which 2 are stored. */
const bitmap = {
  dtype: "bf16",
  inFeatures: 4,
  outFeatures: 1,
  bitmap: Uint32Array.of(3, 0),
  values: new Uint16Array(34),
  offsets: Uint32Array.of(0, 2),
};
const groups = {
  inFeatures: 4,
  outFeatures: 1,
  keep: 2,
  of: 4,
  values: new Uint16Array(32),
  places: new Uint32Array(2),
};
const oneRow = { x: floats(4), rows: 1, out: floats(1) };

/** 2 heads of 8 tokens that keep 2 of 4 elements. */
const packed = {
  ...{ dtype: "f32", heads: 2, length: 8, capacity: 8, headDim: 4, kept: 2 },
  bitmap: new Uint8Array(16).fill(5),
  values: floats(32),
};
const oneQuery = { q: view({ length: 1 }), out: zeroHeads({ heads: 2, length: 1, headDim: 4 }) };
const packedTask = { ...oneQuery, k: view({}), v: view({}), scale: 1, packedK: packed, packedV: packed };

const refusals: [title: string, action: (native: NativeKernels) => unknown, message: RegExp][] = [
  ["no argument", (n) => (n.add as (fields?: object) => void)(), /argument must be an object/],
  ["a missing field", (n) => n.add({ x: floats(1), y: floats(1) }), /count must be a number/],
  ["a negative count", (n) => n.add({ x: floats(1), y: floats(1), count: -1 }), /count must be an integer/],
  ["a count of NaN", (n) => n.add({ x: floats(1), y: floats(1), count: Number.NaN }), /count must be an integer/],
  ["an infinite count", (n) => n.add({ x: floats(1), y: floats(1), count: Infinity }), /count must be an integer/],
  ["an array that is too short", (n) => n.add({ x: floats(9), y: floats(8), count: 9 }), /y must hold more elements/],
  [
    "an array of another type",
    (n) => n.add({ x: new Int32Array(9), y: floats(9), count: 9 }),
    /x must be a typed array of the/,
  ],
  ["a plain array", (n) => n.add({ x: [1], y: floats(1), count: 1 }), /x must be a typed array/],
  [
    "products beyond 2^53",
    (n) => n.softmaxRows({ x: floats(4), rows: 2 ** 31 - 1, columns: 2 ** 31 - 1 }),
    /x must hold/,
  ],
  [
    "panels that are missing",
    (n) => n.linear({ x: floats(4), rows: 1, inFeatures: 4, outFeatures: 17, data: floats(64), out: floats(17) }),
    /data must hold every panel/,
  ],
  [
    "a bitmap whose values end too early",
    (n) => n.linearPanels({ ...oneRow, weight: { ...bitmap, values: new Uint16Array(33) } }),
    /weight.values must hold the last offset and 64 bytes more/,
  ],
  [
    "offsets of a bitmap that descend",
    (n) => n.linearPanels({ ...oneRow, weight: { ...bitmap, offsets: Uint32Array.of(9, 2) } }),
    /weight.offsets must ascend/,
  ],
  [
    "a bitmap without its words",
    (n) => n.linearPanels({ ...oneRow, weight: { ...bitmap, bitmap: new Uint32Array(1) } }),
    /weight.bitmap must hold/,
  ],
  [
    "int8 sums that could overflow",
    (n) => n.linearPanels({ ...oneRow, weight: { ...bitmap, dtype: "int8", inFeatures: 2 ** 17 + 1 } }),
    /x must hold|inFeatures must be at most 131072/,
  ],
  [
    "groups of 32",
    (n) => n.linearGroups({ ...oneRow, weight: { ...groups, of: 32 } }),
    /weight.of must be 2, 4, 8 or 16/,
  ],
  [
    "groups without their places",
    (n) => n.linearGroups({ ...oneRow, weight: { ...groups, places: new Uint32Array(1) } }),
    /weight.places must hold/,
  ],
  [
    "an id outside the table",
    (n) => n.embed({ ids: Int32Array.of(2), table: floats(4), width: 2, out: floats(2) }),
    /ids\[0\]/,
  ],
  [
    "a view beyond its data",
    (n) => n.poolMean({ x: view({ offset: 9 }), head: 0, blockSize: 4, out: floats(8) }),
    /x.data must hold every element/,
  ],
  [
    "strides that overflow",
    (n) => n.poolMean({ x: view({ headStride: 2 ** 53 - 1 }), head: 1, blockSize: 4, out: floats(8) }),
    /x.data must hold every element/,
  ],
  [
    "a head that does not exist",
    (n) => n.scores({ q: view({}), k: view({}), head: 0, kvHead: 2, scale: 1, out: floats(64) }),
    /kvHead/,
  ],
  [
    "a store beyond the cache",
    (n) => n.storeTokens({ source: view({}), target: view({}), start: 1 }),
    /start must leave room/,
  ],
  [
    "k beyond the columns",
    (n) => n.topKRows({ values: floats(4), rows: 1, columns: 4, k: 5, out: new Int32Array(5) }),
    /k must be at most columns/,
  ],
  [
    "an out array without room",
    (n) => n.prefixMass({ values: floats(4), mass: 1, out: new Int32Array(3) }),
    /out must hold/,
  ],
  [
    "packed rows without their bits",
    (n) => n.packedAttention({ ...packedTask, packedK: { ...packed, bitmap: new Uint8Array(15) } }),
    /packedK.bitmap must hold every row/,
  ],
  [
    "packed rows without their values",
    (n) => n.packedAttention({ ...packedTask, packedV: { ...packed, values: floats(31) } }),
    /packedV.values must hold more elements/,
  ],
  [
    "packed rows that keep more than there is",
    (n) => n.packedAttention({ ...packedTask, packedV: { ...packed, kept: 5 } }),
    /packedV.kept must be at most headDim/,
  ],
  [
    "packed rows of other heads",
    (n) => n.packedAttention({ ...packedTask, packedV: { ...packed, heads: 1 } }),
    /packedV must have the heads/,
  ],
  [
    "packed rows with more bits than values",
    (n) => n.packedAttention({ ...packedTask, packedV: { ...packed, bitmap: new Uint8Array(16).fill(15) } }),
    /packedV.bitmap must have 2 bits in every row/,
  ],
  [
    "packed tokens beyond the capacity",
    (n) => n.packTokens({ source: view({}), target: packed, start: 1, indices: new Uint16Array(32) }),
    /start must leave room/,
  ],
  [
    "an element behind the row",
    (n) => n.packTokens({ source: view({}), target: packed, start: 0, indices: new Uint16Array(32).fill(4) }),
    /elements.indices must ascend below headDim/,
  ],
  [
    "an unknown mask form",
    (n) => n.prefillAttention({ ...prefill, masks: [{ form: "blocks", bands: [] }] }),
    /masks\[0\].form/,
  ],
  [
    "a block size of 65",
    (n) => n.prefillAttention({ ...prefill, masks: [{ form: "ranges", bands: [], blockSize: 65 }] }),
    /blockSize/,
  ],
  [
    "nine bands",
    (n) => n.prefillAttention({ ...prefill, masks: [{ form: "ranges", bands: Array(9).fill({}) }] }),
    /at most 8 bands/,
  ],
  [
    "out of another length",
    (n) => n.prefillAttention({ ...prefill, out: view({ length: 7 }) }),
    /out must have the heads and length of q/,
  ],
];

describe("the binding throws TypeError for", () => {
  test.each(refusals)("%s", (_, action, message) => {
    expect(() => action(kernels)).toThrow(TypeError);
    expect(() => action(kernels)).toThrow(message);
  });
});

test("Kernels refuses an instruction set that is not in instructionSets", () => {
  expect(instructionSets()).toContain("generic");
  expect(() => new Kernels({ threads: 1, isa: "vax" })).toThrow(/isa must be one/);
});

test("Kernels refuses use after close, and closing twice is fine", () => {
  const closed = new Kernels({ threads: 1, isa: "generic" });
  closed.close();
  closed.close();
  expect(() => closed.add({ x: floats(1), y: floats(1), count: 1 })).toThrow(/closed/);
});

test("a bitmap with more bits than values is multiplied within its memory", () => {
  const lying = { ...bitmap, bitmap: Uint32Array.of(~0, ~0) };
  kernels.linearPanels({ ...oneRow, weight: lying });
  expect(oneRow.out[0]).toBe(0);
  kernels.linearPanels({ ...oneRow, weight: bitmap });
  kernels.linearGroups({ ...oneRow, weight: groups });
});

test("a method torn from its kernels is refused by Node and does not crash", () => {
  const { add } = kernels;
  expect(() => add({ x: floats(1), y: floats(1), count: 1 })).toThrow();
  expect(() => add.call({} as never, { x: floats(1), y: floats(1), count: 1 })).toThrow();
});
