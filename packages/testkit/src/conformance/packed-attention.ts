import {
  elementAt,
  type FloatDtype,
  headsFirst,
  type KeptElements,
  type LayerOperations,
  type PackedAttention,
  type PackedRows,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { headCounts } from "../sizes.js";
import { expectClose } from "../tolerance.js";
import { attentionTolerance, emptyLike } from "./attention-data.js";
import { emptyPacked, expandPacked, type PackedShape, packedTask, randomElements } from "./packed-data.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** [packed tokens, tokens that follow]: one of each, tails of every loop, several chunks. */
const tokenCounts = [
  [1, 1],
  [2, 3],
  [15, 1],
  [17, 16],
  [64, 33],
  [257, 32],
  [1030, 65],
] as const;

/** [d, stored of K, stored of V]: one, odd numbers, all. */
const keptCounts = [
  [7, 3, 7],
  [8, 1, 8],
  [20, 7, 11],
  [64, 33, 20],
  [64, 64, 1],
  [80, 41, 79],
  [128, 40, 65],
  [128, 128, 128],
] as const;

export function packedAttentionSuite(operations: LoadedOperations): void {
  describe("packTokens", () => {
    packing(operations);
  });
  describe("packedAttention", () => {
    againstReference(operations);
    refusals(operations);
  });
}

function packing(operations: LoadedOperations): void {
  it.each(dtypes)("%s: the kept elements come back, zeros stand for the others, and other tokens stay", (dtype) => {
    for (const [headDim, kept] of keptCounts) {
      const seeded = new Seeded(headDim);
      const whole = headsFirst(seeded.stored(3 * 9 * headDim, dtype), 3, 9, headDim);
      const source = { ...whole, offset: 2 * headDim, length: 5 };
      const elements = randomElements(seeded, 3 * 5, headDim, kept);
      const [target, untouched] = [emptyPacked(source, 8, kept), emptyPacked(source, 8, kept)];
      operations().packTokens(source, elements, target, 2);
      for (let head = 0; head < 3; head++) {
        for (const token of [0, 1, 7]) expect(rowOf(target, head, token)).toEqual(rowOf(untouched, head, token));
        for (let t = 0; t < 5; t++) {
          const row = expandPacked({ ...target, ...onlyRow(target, head, 2 + t) });
          const stays = elements.indices.subarray((head * 5 + t) * kept, (head * 5 + t + 1) * kept);
          for (let c = 0; c < headDim; c++)
            expect(elementAt(row, 0, 0, c)).toBe(stays.includes(c) ? elementAt(source, head, t, c) : 0);
        }
      }
    }
  });

  it("runs of tokens that are packed one after another give what packing them at once gives", () => {
    const seeded = new Seeded(3);
    const source = headsFirst(seeded.stored(2 * 6 * 20, "bf16"), 2, 6, 20);
    const all = randomElements(seeded, 2 * 6, 20, 7);
    const [once, parts] = [emptyPacked(source, 6, 7), emptyPacked(source, 6, 7)];
    operations().packTokens(source, all, once, 0);
    for (const [start, end] of [
      [0, 1],
      [1, 5],
      [5, 6],
    ]) {
      const part = [0, 1].flatMap((head) => [...all.indices.subarray((head * 6 + start) * 7, (head * 6 + end) * 7)]);
      const run = { ...source, offset: start * 20, length: end - start };
      operations().packTokens(run, { kept: 7, indices: Uint16Array.from(part) }, parts, start);
    }
    expect(parts).toEqual(once);
  });

  const pack = (
    indices: number[],
    change: { start?: number; kept?: number; dtype?: FloatDtype; heads?: number } = {},
  ) => {
    return (o: LayerOperations) => {
      const { start = 0, kept = 2, dtype = "f32", heads = 1 } = change;
      const source = headsFirst(new Float32Array(2 * 8 * heads), heads, 2, 8);
      const target = emptyPacked({ ...source, dtype, heads: 1 }, 3, 2);
      o.packTokens(source, { kept, indices: Uint16Array.from(indices) }, target, start);
    };
  };
  refuses(operations, [
    ["an index beyond d", pack([0, 8, 0, 1])],
    ["a repeated index", pack([0, 1, 3, 3])],
    ["descending indices", pack([1, 0, 0, 1])],
    ["too few indices", pack([0, 1, 2])],
    ["another number of kept elements", pack([0, 1, 2, 3, 4, 5], { kept: 3 })],
    ["more tokens than fit", pack([0, 1, 0, 1], { start: 2 })],
    ["a negative start", pack([0, 1, 0, 1], { start: -1 })],
    ["a target of another type", pack([0, 1, 0, 1], { dtype: "bf16" })],
    ["another number of heads", pack([0, 1, 0, 1, 0, 1, 0, 1], { heads: 2 })],
    [
      "a list instead of a Uint16Array",
      (o) => {
        const source = headsFirst(new Float32Array(8), 1, 1, 8);
        o.packTokens(source, { kept: 1, indices: [0] } as unknown as KeptElements, emptyPacked(source, 1, 1), 0);
      },
    ],
  ]);
}

function againstReference(operations: LoadedOperations): void {
  const base = { queryHeads: 4, kvHeads: 2 };
  const shapes = dtypes.flatMap((dtype) => keptCounts.map((counts) => [dtype, ...counts] as const));

  it.each(shapes)(
    "%s: d = %i with %i elements of K and %i of V, from 1 packed token on",
    (dtype, headDim, keptK, keptV) => {
      for (const [packed, rest] of tokenCounts)
        expectReference(operations(), { ...base, dtype, headDim, packed, rest, keptK, keptV });
    },
  );

  it.each(dtypes.flatMap((dtype) => headCounts.map((heads) => [dtype, ...heads] as const)))(
    "%s: %i query heads read %i KV heads",
    (dtype, queryHeads, kvHeads) => {
      expectReference(operations(), {
        dtype,
        queryHeads,
        kvHeads,
        headDim: 16,
        packed: 70,
        rest: 9,
        keptK: 5,
        keptV: 12,
      });
    },
  );

  it.each(dtypes)("%s: tiny values of K and huge ones of V, and scores that leave one token", (dtype) => {
    const shape = { ...base, dtype, headDim: 64, packed: 33, rest: 5, keptK: 31, keptV: 20 };
    expectReference(operations(), { ...shape, factors: [1, 2 ** -100, 2 ** 100] });
    expectReference(operations(), { ...shape, factors: [2 ** -60, 2 ** 60, 2 ** -100] });
    expectReference(operations(), { ...shape, factors: [30, 30, 1] });
  });

  it.each(dtypes)("%s: with all elements stored, what dense attention gives", (dtype) => {
    const { task, dense } = packedTask(
      5,
      { ...base, dtype, headDim: 64, packed: 90, rest: 7, keptK: 64, keptV: 64 },
      operations().packTokens,
    );
    const expected = emptyLike(task.q);
    reference.decodeAttention({ q: task.q, ...dense, out: expected, scale: task.scale });
    operations().packedAttention(task);
    expectClose(task.out.data, expected.data, attentionTolerance({ ...task, ...dense }).out);
  });

  it("bf16: 90 packed tokens of d = 20 with 7 and 11 elements and 3 others read 90 x 42 and 3 x 80 bytes a head", () => {
    // One query head per KV head: kernels may read once for a whole group.
    const shape = {
      dtype: "bf16",
      queryHeads: 2,
      kvHeads: 2,
      headDim: 20,
      packed: 90,
      rest: 3,
      keptK: 7,
      keptV: 11,
    } as const;
    const cost = operations().packedAttention(packedTask(5, shape, operations().packTokens).task);
    expect(cost).toEqual({ cellsComputed: 2 * 93, bytesRead: 2 * (90 * 42 + 3 * 80) });
  });

  it("out may be q itself", () => {
    const shape = { ...base, dtype: "f32", headDim: 16, packed: 40, rest: 3, keptK: 7, keptV: 11 } as const;
    const { task } = packedTask(6, shape, operations().packTokens);
    operations().packedAttention(task);
    operations().packedAttention({ ...task, out: task.q });
    expect(task.q.data).toEqual(task.out.data);
  });
}

/** The oracle is the reference's dense attention over rows whose other elements are 0. */
function expectReference(operations: LayerOperations, shape: PackedShape): void {
  const { task, dense } = packedTask(shape.packed, shape, operations.packTokens);
  const [expected, logSumExp] = [emptyLike(task.q), new Float32Array(shape.queryHeads)];
  reference.decodeAttention({ q: task.q, ...dense, out: expected, scale: task.scale, logSumExp });
  const { cellsComputed } = operations.packedAttention(task);
  const tolerance = attentionTolerance({ ...task, ...dense });
  expectClose(task.out.data, expected.data, tolerance.out);
  expectClose(task.logSumExp as Float32Array, logSumExp, tolerance.logSumExp);
  expect(cellsComputed).toBe(shape.queryHeads * (shape.packed + shape.rest));
}

function refusals(operations: LoadedOperations): void {
  const shape = {
    dtype: "f32",
    queryHeads: 2,
    kvHeads: 1,
    headDim: 8,
    packed: 4,
    rest: 2,
    keptK: 3,
    keptV: 5,
  } as const;
  const changed = (change: (task: PackedAttention) => Partial<PackedAttention>) => (o: LayerOperations) => {
    const { task } = packedTask(1, shape, reference.packTokens);
    return o.packedAttention({ ...task, ...change(task) });
  };
  refuses(operations, [
    [
      "a number of packed tokens beyond the capacity",
      changed(({ packedK }) => ({ packedK: { ...packedK, length: 7 } })),
    ],
    [
      "no packed tokens",
      changed(({ packedK, packedV }) => ({ packedK: { ...packedK, length: 0 }, packedV: { ...packedV, length: 0 } })),
    ],
    ["fewer packed tokens of V than of K", changed(({ packedV }) => ({ packedV: { ...packedV, length: 3 } }))],
    ["no other tokens", changed(({ k, v }) => ({ k: { ...k, length: 0 }, v: { ...v, length: 0 } }))],
    ["a bitmap that is too short", changed(({ packedK }) => ({ packedK: { ...packedK, bitmap: new Uint8Array(5) } }))],
    [
      "values that are too short",
      changed(({ packedV }) => ({ packedV: { ...packedV, values: new Float32Array(29) } })),
    ],
    ["0 stored elements", changed(({ packedK }) => ({ packedK: { ...packedK, kept: 0 } }))],
    ["more stored elements than d", changed(({ packedK }) => ({ packedK: { ...packedK, kept: 9 } }))],
    ["packed rows of another width", changed(({ packedK }) => ({ packedK: { ...packedK, headDim: 7 } }))],
    [
      "bf16 rows beside float32 tokens",
      changed(({ packedK }) => ({ packedK: { ...packedK, dtype: "bf16", values: new Uint16Array(18) } })),
    ],
    ["logSumExp that is too short", changed(() => ({ logSumExp: new Float32Array(1) }))],
    ["two queries per head", changed(() => ({ q: headsFirst(new Float32Array(32), 2, 2, 8) }))],
    ["an infinite scale", changed(() => ({ scale: Number.POSITIVE_INFINITY }))],
  ]);
}

function onlyRow(x: PackedRows, head: number, token: number) {
  return { ...rowOf(x, head, token), heads: 1, length: 1, capacity: 1 };
}

function rowOf(x: PackedRows, head: number, token: number) {
  const [place, width] = [head * x.capacity + token, Math.ceil(x.headDim / 8)];
  return {
    bitmap: x.bitmap.subarray(place * width, (place + 1) * width),
    values: x.values.subarray(place * x.kept, (place + 1) * x.kept),
  };
}
