import { type AttentionInputs, headsFirst, lowerMask, type TuneContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import { parseHeadConfig } from "./head-config.js";
import plugin from "./index.js";
import { attentionMap, best, keptBlocks, lineSums, recall } from "./oracle.js";
import { fitCandidates, kernelCells, outputErrors } from "./output-error.js";
import { attentionRecalls } from "./recall.js";
import { tuner } from "./tune.js";

const operations = createReference();
const model = { layers: 2, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };

function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin((i + 1) ** 1.5 * 12.9898 + seed * 78.233));
}

function inputsOf(n: number, layer: number): AttentionInputs {
  return {
    q: headsFirst(values(2 * n * 8, 3 * layer + 1), 2, n, 8),
    k: headsFirst(values(n * 8, 3 * layer + 2), 1, n, 8),
    v: headsFirst(values(n * 8, 3 * layer + 3), 1, n, 8),
  };
}

function outputContext(n: number) {
  return { model, scale: 1 / Math.sqrt(8), operations, primitives: operations, ...inputsOf(n, 0) };
}

function tuneContext(lengths: number[], progress: number[] = []): TuneContext {
  return {
    model,
    scale: 1 / Math.sqrt(8),
    operations,
    prompts: lengths.map((length) => new Int32Array(length)),
    prefill: async (prompt, visit) => {
      for (let layer = 0; layer < model.layers; layer++) await visit(layer, inputsOf(prompt.length, layer));
    },
    decode: async () => {
      throw new Error("the search decodes nothing");
    },
    // The search looks at no weights.
    weights: undefined as never,
    progress: (share) => progress.push(share),
  };
}

function rows(data: ArrayLike<number>, head: number, n: number): number[][] {
  return Array.from({ length: n }, (_, i) => Array.from(data).slice((head * n + i) * 8, (head * n + i + 1) * 8));
}

describe("minference search by recall", () => {
  it("attentionRecalls equals the recall of the exact masks of the search, summed pair by pair", () => {
    const n = 200;
    const context = outputContext(n);
    const patterns = [
      { type: "stream_llm", v: 5, s: 20 },
      { type: "vertical_and_slash", v: 40, s: 60 },
      { type: "block_sparse", v: 3, s: 1 },
    ] as const;
    const actual = attentionRecalls(context, 1, patterns, 70);
    const [q, k] = [rows(context.q.data, 1, n), rows(context.k.data, 0, n)];
    const map = attentionMap(q, k);
    const { vertical, slash } = lineSums(map, 64);
    const columns = best(vertical, 40, 30);
    const slashes = best(slash, 60, 30);
    const blocks = keptBlocks(q, k, 32, 2, false);
    const expected = [
      recall(map, 70, (i, j) => j < 5 || i - j <= 20),
      recall(map, 70, (i, j) => columns.includes(j) || slashes.includes(i - j)),
      recall(map, 70, (i, j) => blocks[Math.floor(i / 32)].includes(Math.floor(j / 32))),
    ];
    // Weights are float32: a relative error of 2^-24 each, which a mean of sums of weights does not raise; softmax adds a few more.
    actual.forEach((value, c) => {
      expect(Math.abs(value - expected[c])).toBeLessThan(2 ** -20);
    });
  });

  it("attentionRecalls is exactly 1 for a pattern that keeps everything", () => {
    const all = { type: "stream_llm", v: 0, s: 130 } as const;
    expect(attentionRecalls(outputContext(130), 0, [all], 0)).toEqual([1]);
  });

  it("the tuner writes an entry per layer and head, stored as vertical_and_slash, in the file that it names", async () => {
    const progress: number[] = [];
    const result = await tuner.run(tuneContext([50, 300], progress), { modelName: "tiny" });
    expect(result.options).toEqual({ headConfig: "minference.tiny.json" });
    const [{ name, text }] = result.files;
    const config = parseHeadConfig(text, name);
    expect(name).toBe("minference.tiny.json");
    expect(config.map((layer) => Object.keys(layer))).toEqual([
      ["0", "1"],
      ["0", "1"],
    ]);
    for (const [type] of config.flatMap((layer) => Object.values(layer))) expect(type).toBe("vertical_and_slash");
    expect(result.report).toHaveLength(4);
    expect(result.report[3]).toMatchObject({ layer: 1, head: 1, stored: "vertical_and_slash" });
    expect(progress).toEqual([0.5, 1]);
  });

  it("the tuner searches the longest prompt: its result is that of the longest alone", async () => {
    expect(await tuner.run(tuneContext([300, 50]), {})).toEqual(await tuner.run(tuneContext([300]), {}));
  });

  it("the tuner keeps the earlier candidate where several keep everything", async () => {
    const { report } = await tuner.run(tuneContext([100]), { scaleCandidates: false, firstRow: 10 });
    for (const row of report) expect(row).toMatchObject({ winner: "stream_llm", v: 100, s: 800, recall: 1 });
  });

  it("the tuner refuses a prompt that does not reach firstRow, and no prompt", async () => {
    await expect(tuner.run(tuneContext([100]), { scaleCandidates: false })).rejects.toMatchObject({
      code: "ERR_OPTION_RANGE",
      message: expect.stringContaining("firstRow must be below the prompt length (100), got 2500"),
    });
    await expect(tuner.run(tuneContext([]), {})).rejects.toMatchObject({ code: "ERR_PROMPT" });
  });
});

describe("minference search by output", () => {
  const n = 700;
  const scale = 0.04;

  it("kernelCells counts rows times keys of each query block", () => {
    const mask = { form: "band", sinkTokens: 1, recentTokens: 2, denseFromRow: 1000 } as const;
    // Row block 0: keys 0..63; row block 1: sink 0 and keys 63..99.
    expect(lowerMask(mask, 100).blockSize).toBe(64);
    expect(kernelCells(mask, 100)).toBe(64 * 64 + 36 * (1 + 37));
  });

  it("fitCandidates gives patterns whose kernel cost is that of A-shape within the tolerance", () => {
    const fitted = fitCandidates(outputContext(n), 0, scale, 0.1);
    expect(fitted[0]).toMatchObject({ type: "stream_llm", v: 41, s: 164 });
    expect(new Set(fitted.map(({ type }) => type)).size).toBeGreaterThan(1);
    for (const { cells } of fitted) expect(Math.abs(cells / fitted[0].cells - 1)).toBeLessThanOrEqual(0.1);
  });

  it("outputErrors is the mean absolute difference from dense attention, 0 for a mask that keeps everything", () => {
    const context = outputContext(80);
    const [none, some] = outputErrors(context, 1, [
      { form: "band", sinkTokens: 0, recentTokens: 80, denseFromRow: 80 },
      { form: "band", sinkTokens: 0, recentTokens: 1, denseFromRow: 80 },
    ]);
    const v = rows(context.v.data, 0, 80);
    const map = attentionMap(rows(context.q.data, 1, 80), rows(context.k.data, 0, 80));
    let sum = 0;
    for (let i = 0; i < 80; i++) {
      for (let c = 0; c < 8; c++) {
        const dense = map[i].reduce((total, weight, j) => total + weight * v[j][c], 0);
        sum += Math.abs(v[i][c] - dense);
      }
    }
    expect(none).toBe(0);
    // Each output rounds once to float32 at a magnitude of at most 2.
    expect(Math.abs(some - sum / (80 * 8))).toBeLessThan(2 ** -22);
  });

  it("the tuner stores the winner as it is, and the block count of block-sparse heads as an option", async () => {
    const result = await tuner.run(tuneContext([n]), { objective: "output", tolerance: 0.3 });
    const config = parseHeadConfig(result.files[0].text, "x.json");
    const entries = config.flatMap((layer) => Object.values(layer));
    expect(entries).toHaveLength(4);
    const blocks = entries.find(([type]) => type === "block_sparse")?.[1];
    expect(result.options.keepBlocks).toBe(blocks);
    for (const row of result.report) expect(row.outputError).toBeLessThanOrEqual(row.secondBest as number);
  });

  it("the written options make a masker of the same patterns", async () => {
    const { files } = await tuner.run(tuneContext([n]), { objective: "output" });
    const headConfig = parseHeadConfig(files[0].text, "x.json");
    const chosen = plugin.options.parse({ headConfig });
    expect(plugin.check?.(chosen, model)).toEqual([]);
    const { q, k } = inputsOf(n, 0);
    const context = { model, layer: 0, heads: { start: 0, end: 2 }, q, k, scale: 1, primitives: operations };
    expect(plugin.create(chosen, model).plan(context)).toHaveLength(2);
  });
});
