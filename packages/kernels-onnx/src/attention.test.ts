import type { HeadTensor, PrefillAttention } from "@winnow/core";
import { bandMask, denseMask, elementAt, headsFirst, tokensFirst } from "@winnow/core";
import { expectClose, Seeded } from "@winnow/testkit";
import { afterAll, describe, expect, test } from "vitest";
import { createOnnxAttention } from "./attention.js";

const attention = createOnnxAttention({ threads: 2 });
afterAll(() => attention.close());

const seeded = new Seeded(11);

function randomTask(heads: number, kvHeads: number, length: number, headDim: number): PrefillAttention {
  const q = headsFirst(seeded.normals(heads * length * headDim), heads, length, headDim);
  const k = tokensFirst(seeded.normals(kvHeads * length * headDim), kvHeads, length, headDim);
  const v = headsFirst(seeded.normals(kvHeads * length * headDim), kvHeads, length, headDim);
  const out = tokensFirst(new Float32Array(heads * length * headDim), heads, length, headDim);
  return { q, k, v, out, scale: 1 / Math.sqrt(headDim), masks: [denseMask] };
}

/** Softmax attention row by row in float64, `[n, h * d]`. */
function oracle({ q, k, v, scale }: PrefillAttention): number[] {
  const rows: number[] = [];
  for (let i = 0; i < q.length; i++) {
    for (let head = 0; head < q.heads; head++) {
      const kvHead = Math.floor(head / (q.heads / k.heads));
      const scores = Array.from({ length: i + 1 }, (_, j) => scale * dot(q, head, i, k, kvHead, j));
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let c = 0; c < q.headDim; c++) {
        rows.push(weights.reduce((sum, weight, j) => sum + weight * elementAt(v, kvHead, j, c), 0) / total);
      }
    }
  }
  return rows;
}

function dot(x: HeadTensor, xHead: number, i: number, y: HeadTensor, yHead: number, j: number): number {
  let sum = 0;
  for (let c = 0; c < x.headDim; c++) sum += elementAt(x, xHead, i, c) * elementAt(y, yHead, j, c);
  return sum;
}

describe("OnnxAttention", () => {
  const shapes = [
    [1, 1, 1, 8],
    [2, 2, 2, 16],
    [6, 2, 63, 64],
    [6, 2, 65, 64],
    [4, 1, 130, 16],
    [8, 2, 200, 128],
  ];
  // Scores of size s are off by about s * 2^-22, which moves weights by that factor; |v| < 5 and |s| < 6 here.
  const tolerance = { atol: 2 ** -16, rtol: 2 ** -20 };

  test.each(shapes)("prefillAttention: %i query and %i KV heads, %i tokens of %i channels", async (...shape) => {
    const task = randomTask(...(shape as [number, number, number, number]));
    await attention.prefillAttention(task);
    expectClose(task.out.data, oracle(task), tolerance);
  });

  test("prefillAttention uses the scale that it is given, a negative one too", async () => {
    const task = { ...randomTask(2, 1, 20, 8), scale: -0.7 };
    await attention.prefillAttention(task);
    expectClose(task.out.data, oracle(task), tolerance);
  });

  test("prefillAttention of equal scores averages the values so far", async () => {
    const task = randomTask(1, 1, 5, 8);
    task.q.data.fill(0);
    task.v.data.set(Float32Array.from({ length: 40 }, (_, i) => Math.floor(i / 8)));
    await attention.prefillAttention(task);
    const means = [0, 0.5, 1, 1.5, 2].flatMap((mean) => new Array(8).fill(mean));
    expectClose(task.out.data, means, tolerance);
  });

  test("prefillAttention may write over q, and over nothing else", async () => {
    const task = randomTask(2, 2, 9, 8);
    const expected = oracle(task);
    const padded = new Float32Array(2 * 9 * 8 + 4).fill(7);
    const q: HeadTensor = { ...tokensFirst(padded, 2, 9, 8), offset: 2 };
    for (let i = 0; i < expected.length; i++) {
      padded[2 + i] = elementAt(task.q, Math.floor((i % 16) / 8), Math.floor(i / 16), i % 8);
    }
    await attention.prefillAttention({ ...task, q, out: q });
    expectClose(padded.subarray(2, -2), expected, tolerance);
    expect([padded[0], padded[1], padded.at(-2), padded.at(-1)]).toEqual([7, 7, 7, 7]);
  });

  test.each<[string, (task: PrefillAttention) => Partial<PrefillAttention>]>([
    ["a band mask", () => ({ masks: [bandMask({ sinkTokens: 1, recentTokens: 2 })] })],
    ["bf16 keys", ({ k }) => ({ k: { ...k, dtype: "bf16", data: new Uint16Array(k.data.length) } })],
    ["logSumExp", () => ({ logSumExp: new Float32Array(8) })],
  ])("prefillAttention does not support %s", async (_, change) => {
    const task = randomTask(2, 1, 4, 8);
    await expect(attention.prefillAttention({ ...task, ...change(task) })).rejects.toMatchObject({
      code: "ERR_KERNEL_UNSUPPORTED",
    });
  });

  test.each<[string, (task: PrefillAttention) => Partial<PrefillAttention>]>([
    ["KV heads that do not divide the query heads", ({ k, v }) => ({ k: { ...k, heads: 3 }, v: { ...v, heads: 3 } })],
    ["fewer keys than queries", ({ k }) => ({ k: { ...k, length: 3 } })],
    ["a buffer that is too small", ({ out }) => ({ out: { ...out, data: new Float32Array(7) } })],
    ["scale 0", () => ({ scale: 0 })],
    ["no mask", () => ({ masks: [] })],
  ])("prefillAttention refuses %s", async (_, change) => {
    const task = randomTask(2, 1, 4, 8);
    await expect(attention.prefillAttention({ ...task, ...change(task) })).rejects.toMatchObject({
      code: "ERR_OPERATION_ARGUMENT",
    });
  });

  test("prefillAttention stops before it begins when cancelled", async () => {
    const task = { ...randomTask(1, 1, 4, 8), cancel: Int32Array.of(1) };
    await expect(attention.prefillAttention(task)).rejects.toMatchObject({ code: "ERR_CANCELLED" });
    expect(task.out.data.every((value) => value === 0)).toBe(true);
  });
});
