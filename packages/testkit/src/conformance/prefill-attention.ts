import {
  bandMask,
  denseMask,
  type FloatDtype,
  headsFirst,
  keeps,
  type LayerOperations,
  type Mask,
  maskStatistics,
  type PrefillAttention,
  tokensFirst,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import { randomVerticalSlash, sampleMasks } from "../masks.js";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { headCounts, headDims, promptLengths } from "../sizes.js";
import { dotTolerance, expectClose } from "../tolerance.js";
import { attentionTolerance, emptyLike, randomAttention } from "./attention-data.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

export function prefillAttentionSuite(operations: LoadedOperations): void {
  describe("prefillAttention", () => {
    keptPairs(operations);
    randomValues(operations);
    layouts(operations);
    stopping(operations);
    refusals(operations);
  });
}

function keptPairs(operations: LoadedOperations): void {
  const cases = dtypes.flatMap((dtype) => promptLengths.map((n) => [dtype, n] as const));

  it.each(cases)(
    "%s: equal scores give the mean of exactly the kept values under every mask, n = %i",
    async (dtype, n) => {
      for (const [title, mask] of sampleMasks(new Seeded(n), n))
        await expectMeanOfKept(operations(), title, mask, dtype, n);
    },
  );

  it("exact vertical-slash is computed exactly or refused as unsupported", async () => {
    const mask = randomVerticalSlash(new Seeded(8), 150, true);
    try {
      await expectMeanOfKept(operations(), "exact vertical-slash", mask, "f32", 150);
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_KERNEL_UNSUPPORTED" });
    }
  });

  it("a window of 64 in 1024 tokens costs less than half of dense, and no less than its pairs", async () => {
    const mask = bandMask({ sinkTokens: 4, recentTokens: 64 });
    const data = randomAttention(1, {
      queryHeads: 1,
      kvHeads: 1,
      queryLength: 1024,
      keyLength: 1024,
      headDim: 16,
      dtype: "f32",
    });
    const cost = await operations().prefillAttention({ ...data, out: emptyLike(data.q), masks: [mask] });
    const { keptPairs, causalPairs } = maskStatistics(mask, 1024);
    expect(cost.cellsComputed).toBeGreaterThanOrEqual(keptPairs);
    expect(cost.cellsComputed).toBeLessThan(causalPairs / 2);
    expect(cost.bytesRead).toBeGreaterThanOrEqual(2 * 1024 * 16 * 4);
  });
}

/** With q = 0 every row is the mean of its kept values, and its log-sum-exponential the logarithm of their number. */
async function expectMeanOfKept(
  operations: LayerOperations,
  title: string,
  mask: Mask,
  dtype: FloatDtype,
  n: number,
): Promise<void> {
  const headDim = 16;
  const value = (j: number, c: number) => (c % 2 === 0 ? j : (j * 37 + c) % 101);
  const values = Array.from({ length: n * headDim }, (_, e) => value(Math.floor(e / headDim), e % headDim));
  const q = headsFirst(new Float32Array(n * headDim), 1, n, headDim);
  const k = headsFirst(new Seeded(n).stored(n * headDim, dtype), 1, n, headDim);
  const v = headsFirst(toStored(values, dtype), 1, n, headDim);
  const out = emptyLike(q);
  const logSumExp = new Float32Array(n);
  await operations.prefillAttention({ q, k, v, out, scale: 1, masks: [mask], logSumExp });

  const expected = new Float64Array(n * headDim);
  const counts = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      if (!keeps(mask, i, j, n)) continue;
      counts[i]++;
      for (let c = 0; c < headDim; c++) expected[i * headDim + c] += value(j, c);
    }
    for (let c = 0; c < headDim; c++) expected[i * headDim + c] /= counts[i];
  }
  within(title, () => {
    expectClose(logSumExp, counts.map(Math.log), dotTolerance("f32", n, 6));
    expectClose(out.data, expected, dotTolerance("f32", n, 200));
  });
}

/** Puts `title` before the message of a failed expectation. */
function within(title: string, expectation: () => void): void {
  try {
    expectation();
  } catch (error) {
    throw new Error(`${title}: ${(error as Error).message}`, { cause: error });
  }
}

function randomValues(operations: LoadedOperations): void {
  const cases = dtypes.flatMap((dtype) => [
    ...headDims.map((headDim) => [dtype, 4, 2, headDim] as const),
    ...headCounts.map(([queryHeads, kvHeads]) => [dtype, queryHeads, kvHeads, 16] as const),
  ]);

  it.each(cases)(
    "%s: softmax attention of h = %i heads over hKv = %i, d = %i, a mask per head",
    async (dtype, queryHeads, kvHeads, headDim) => {
      for (const n of [1, 65, 130]) {
        const masks = sampleMasks(new Seeded(headDim), n).map(([, mask]) => mask);
        const shape = { queryHeads, kvHeads, queryLength: n, keyLength: n, headDim, dtype };
        const data = randomAttention(n + headDim, shape);
        await expectReference(operations(), { ...data, masks: masks.slice(-queryHeads), out: emptyLike(data.q) });
      }
    },
  );

  it("scores in the thousands neither overflow nor become NaN", async () => {
    const shape = { queryHeads: 1, kvHeads: 1, queryLength: 70, keyLength: 70, headDim: 32, dtype: "f32" } as const;
    const data = { ...randomAttention(2, shape), scale: 300 };
    await expectReference(operations(), { ...data, masks: [denseMask], out: emptyLike(data.q) });
  });

  it("a single mask serves all heads", async () => {
    const shape = { queryHeads: 3, kvHeads: 1, queryLength: 80, keyLength: 80, headDim: 16, dtype: "f32" } as const;
    const data = randomAttention(3, shape);
    const masks = [bandMask({ sinkTokens: 2, recentTokens: 9, denseFromRow: 70 })];
    await expectReference(operations(), { ...data, masks, out: emptyLike(data.q) });
  });
}

async function expectReference(operations: LayerOperations, task: PrefillAttention): Promise<void> {
  const rows = task.q.heads * task.q.length;
  const [logSumExp, expectedLogSumExp] = [new Float32Array(rows), new Float32Array(rows)];
  const expected = emptyLike(task.q);
  const { cellsComputed } = reference.prefillAttention({ ...task, out: expected, logSumExp: expectedLogSumExp });
  const tolerance = attentionTolerance(task);
  const cost = await operations.prefillAttention({ ...task, logSumExp });
  expectClose(task.out.data, expected.data, tolerance.out);
  expectClose(logSumExp, expectedLogSumExp, tolerance.logSumExp);
  expect(cost.cellsComputed).toBeGreaterThanOrEqual(cellsComputed);
}

function layouts(operations: LoadedOperations): void {
  const shape = { queryHeads: 4, kvHeads: 2, queryLength: 70, keyLength: 70, headDim: 16, dtype: "f32" } as const;
  const masks = [bandMask({ sinkTokens: 3, recentTokens: 20 })];

  it.each(dtypes)("%s: [n, h * d] queries and output give what [h, n, d] gives", async (dtype) => {
    const data = randomAttention(5, { ...shape, dtype });
    const expected = emptyLike(data.q);
    await operations().prefillAttention({ ...data, masks, out: expected });
    const q = tokensFirst(new Float32Array(data.q.data.length), 4, 70, 16);
    reference.storeTokens(data.q, q, 0);
    const out = tokensFirst(new Float32Array(q.data.length), 4, 70, 16);
    await operations().prefillAttention({ ...data, q, masks, out });
    const turned = emptyLike(data.q);
    reference.storeTokens(out, turned, 0);
    expect(turned.data).toEqual(expected.data);
  });

  it.each(dtypes)("%s: out may be q itself", async (dtype) => {
    const data = randomAttention(6, { ...shape, dtype });
    const expected = emptyLike(data.q);
    await operations().prefillAttention({ ...data, masks, out: expected });
    await operations().prefillAttention({ ...data, masks, out: data.q });
    expect(data.q.data).toEqual(expected.data);
  });
}

function stopping(operations: LoadedOperations): void {
  describe("cancel", () => {
    refuses(
      operations,
      [["a call whose flag is already raised", (o) => o.prefillAttention({ ...smallTask(), cancel: flag(1) })]],
      "ERR_CANCELLED",
    );

    it("a flag that stays 0 changes nothing", async () => {
      const task = smallTask();
      await operations().prefillAttention({ ...task, cancel: flag(0) });
      expect([...task.out.data]).toEqual(new Array(4).fill(1));
    });
  });
}

function flag(value: number): Int32Array {
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  cancel[0] = value;
  return cancel;
}

/** n = 2, d = 2, one head, all values 1. */
function smallTask(): PrefillAttention {
  const ones = () => headsFirst(new Float32Array(4).fill(1), 1, 2, 2);
  return { q: ones(), k: ones(), v: ones(), out: emptyLike(ones()), scale: 1, masks: [denseMask] };
}

function refusals(operations: LoadedOperations): void {
  const wide = headsFirst(new Float32Array(6), 1, 2, 3);
  const emptyRow: Mask = { form: "blocks", blockSize: 16, bits: Uint8Array.of(0) };
  const lateKey: Mask = {
    form: "ranges",
    blockSize: 64,
    rangeOffsets: Int32Array.of(0, 1),
    ranges: Int32Array.of(1, 2),
    rangeFlags: Uint8Array.of(0),
    columnOffsets: new Int32Array(2),
    columns: new Int32Array(0),
    bands: [],
  };
  const changed = (change: (task: PrefillAttention) => Partial<PrefillAttention>) => (o: LayerOperations) => {
    const task = smallTask();
    return o.prefillAttention({ ...task, ...change(task) });
  };
  refuses(operations, [
    ["another head dimension in K", changed(() => ({ k: wide }))],
    ["V shorter than K", changed(({ v }) => ({ v: { ...v, length: 1 } }))],
    ["K of f32 with V of bf16", changed(() => ({ v: headsFirst(new Uint16Array(4), 1, 2, 2) }))],
    ["bf16 queries", changed(() => ({ q: headsFirst(new Uint16Array(4), 1, 2, 2) }))],
    ["a view beyond its data", changed(({ k }) => ({ k: { ...k, offset: 1 } }))],
    ["heads that are no multiple of the KV heads", changed(() => ({ k: twoHeads(), v: twoHeads() }))],
    ["no mask", changed(() => ({ masks: [] }))],
    ["more masks than heads", changed(() => ({ masks: [denseMask, denseMask] }))],
    ["a block row without keys", changed(() => ({ masks: [emptyRow] }))],
    ["a row before the first key", changed(() => ({ masks: [lateKey] }))],
    ["a key beyond n", changed(() => ({ masks: [{ ...lateKey, ranges: Int32Array.of(0, 3) }] }))],
    ["offsets that fall", changed(() => ({ masks: [{ ...lateKey, rangeOffsets: Int32Array.of(1, 0) }] }))],
    ["a NaN window", changed(() => ({ masks: [bandMask({ sinkTokens: 0, recentTokens: Number.NaN })] }))],
    ["a NaN scale", changed(() => ({ scale: Number.NaN }))],
    ["logSumExp that is too short", changed(() => ({ logSumExp: new Float32Array(1) }))],
  ]);
}

const twoHeads = () => headsFirst(new Float32Array(8), 2, 2, 2);
