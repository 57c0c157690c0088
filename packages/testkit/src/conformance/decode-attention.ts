import { type DecodeAttention, type FloatDtype, headsFirst, type LayerOperations, type TokenLists } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { headCounts, headDims } from "../sizes.js";
import { dotTolerance, expectClose } from "../tolerance.js";
import { attentionTolerance, emptyLike, randomAttention } from "./attention-data.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** Cached tokens around vector widths and the sizes of partial sums. */
const cacheLengths = [1, 2, 15, 17, 64, 65, 257, 1030] as const;

export function decodeAttentionSuite(operations: LoadedOperations): void {
  describe("decodeAttention", () => {
    againstReference(operations);
    refusals(operations);
  });
}

function againstReference(operations: LoadedOperations): void {
  const shapes = dtypes.flatMap((dtype) => [
    ...headDims.map((headDim) => [dtype, 4, 2, headDim] as const),
    ...headCounts.map(([queryHeads, kvHeads]) => [dtype, queryHeads, kvHeads, 16] as const),
  ]);

  it.each(shapes)(
    "%s: all cached tokens, their scores and log-sum-exponentials, h = %i, hKv = %i, d = %i",
    (dtype, queryHeads, kvHeads, headDim) => {
      for (const keyLength of cacheLengths) {
        const data = randomAttention(keyLength, { queryHeads, kvHeads, queryLength: 1, keyLength, headDim, dtype });
        const scores = new Float32Array(queryHeads * keyLength).fill(Number.NaN);
        expectReference(operations(), { ...data, out: emptyLike(data.q), scores });
      }
    },
  );

  it.each(shapes)("%s: token lists per query head, h = %i, hKv = %i, d = %i", (dtype, queryHeads, kvHeads, headDim) => {
    for (const keyLength of cacheLengths) {
      const data = randomAttention(keyLength, { queryHeads, kvHeads, queryLength: 1, keyLength, headDim, dtype });
      const tokens = randomLists(new Seeded(keyLength), queryHeads, keyLength);
      expectReference(operations(), { ...data, out: emptyLike(data.q), tokens });
    }
  });

  it.each(dtypes)("%s: lengths cut each KV head's cache, with and without lists", (dtype) => {
    const data = randomAttention(9, { queryHeads: 6, kvHeads: 3, queryLength: 1, keyLength: 70, headDim: 16, dtype });
    const lengths = Int32Array.of(70, 1, 33);
    expectReference(operations(), { ...data, out: emptyLike(data.q), lengths });
    const tokens = { indices: Int32Array.of(0, 69, 68, 0, 0, 5, 32, 1), offsets: Int32Array.of(0, 2, 3, 4, 5, 7, 8) };
    expectReference(operations(), { ...data, out: emptyLike(data.q), lengths, tokens });
  });

  it("a list of all tokens gives what no list gives", () => {
    const data = randomAttention(4, {
      queryHeads: 2,
      kvHeads: 1,
      queryLength: 1,
      keyLength: 90,
      headDim: 32,
      dtype: "f32",
    });
    const [all, listed] = [emptyLike(data.q), emptyLike(data.q)];
    const indices = Int32Array.from({ length: 180 }, (_, t) => t % 90);
    operations().decodeAttention({ ...data, out: all });
    operations().decodeAttention({ ...data, out: listed, tokens: { indices, offsets: Int32Array.of(0, 90, 180) } });
    expectClose(listed.data, all.data, attentionTolerance(data).out);
  });

  it("a list of 3 tokens reads 3 tokens", () => {
    const data = randomAttention(4, {
      queryHeads: 1,
      kvHeads: 1,
      queryLength: 1,
      keyLength: 500,
      headDim: 16,
      dtype: "bf16",
    });
    const tokens = { indices: Int32Array.of(3, 7, 400), offsets: Int32Array.of(0, 3) };
    const cost = operations().decodeAttention({ ...data, out: emptyLike(data.q), tokens });
    expect(cost).toEqual({ cellsComputed: 3, bytesRead: 3 * 2 * 16 * 2 });
  });

  it("out may be q itself", () => {
    const data = randomAttention(6, {
      queryHeads: 2,
      kvHeads: 1,
      queryLength: 1,
      keyLength: 40,
      headDim: 16,
      dtype: "f32",
    });
    const expected = emptyLike(data.q);
    operations().decodeAttention({ ...data, out: expected });
    operations().decodeAttention({ ...data, out: data.q });
    expect(data.q.data).toEqual(expected.data);
  });
}

function randomLists(seeded: Seeded, heads: number, length: number): TokenLists {
  const lists = Array.from({ length: heads }, () => seeded.subset(seeded.integer(1, length), length));
  const offsets = new Int32Array(heads + 1);
  lists.forEach((list, head) => {
    offsets[head + 1] = offsets[head] + list.length;
  });
  return { indices: Int32Array.from(lists.flatMap((list) => [...list])), offsets };
}

function expectReference(operations: LayerOperations, task: DecodeAttention): void {
  const expected = emptyLike(task.q);
  const [logSumExp, expectedLogSumExp] = [new Float32Array(task.q.heads), new Float32Array(task.q.heads)];
  const expectedScores = task.scores?.slice();
  const { cellsComputed } = reference.decodeAttention({
    ...task,
    out: expected,
    logSumExp: expectedLogSumExp,
    ...(expectedScores && { scores: expectedScores }),
  });
  const tolerance = attentionTolerance(task);
  const cost = operations.decodeAttention({ ...task, logSumExp });
  expectClose(task.out.data, expected.data, tolerance.out);
  expectClose(logSumExp, expectedLogSumExp, tolerance.logSumExp);
  if (task.scores && expectedScores) {
    expectClose(task.scores, expectedScores, dotTolerance("f32", 3 * task.k.headDim, 6 * task.k.headDim * task.scale));
  }
  expect(cost.cellsComputed).toBe(cellsComputed);
}

function refusals(operations: LoadedOperations): void {
  const lists = (indices: number[], offsets: number[]) => ({
    tokens: { indices: Int32Array.from(indices), offsets: Int32Array.from(offsets) },
  });
  const changed = (change: Partial<DecodeAttention>) => (o: LayerOperations) => {
    const cache = headsFirst(new Float32Array(6).fill(1), 1, 3, 2);
    const q = headsFirst(new Float32Array(4), 2, 1, 2);
    return o.decodeAttention({ q, k: cache, v: cache, out: emptyLike(q), scale: 1, ...change });
  };
  refuses(operations, [
    ["an empty list", changed(lists([0], [0, 0, 1]))],
    ["a token beyond the cache", changed(lists([0, 3], [0, 1, 2]))],
    ["a negative token", changed(lists([-1, 0], [0, 1, 2]))],
    ["a repeated token", changed(lists([1, 1, 0], [0, 2, 3]))],
    ["offsets beyond the indices", changed(lists([0, 1], [0, 1, 3]))],
    ["a token beyond its head's length", changed({ ...lists([0, 2], [0, 1, 2]), lengths: Int32Array.of(2) })],
    ["a length beyond the cache", changed({ lengths: Int32Array.of(4) })],
    ["a length of 0", changed({ lengths: Int32Array.of(0) })],
    ["scores together with lists", changed({ ...lists([0, 0], [0, 1, 2]), scores: new Float32Array(6) })],
    ["scores that are too short", changed({ scores: new Float32Array(5) })],
    ["logSumExp that is too short", changed({ logSumExp: new Float32Array(1) })],
    ["two queries per head", changed({ q: headsFirst(new Float32Array(8), 2, 2, 2) })],
    ["an infinite scale", changed({ scale: Number.POSITIVE_INFINITY })],
    ["a bf16 V beside an f32 K", changed({ v: headsFirst(new Uint16Array(6), 1, 3, 2) })],
  ]);
}
