import { type DecodeBench, type MaskRow, type MasksBench, type PrefillBench, spreadOf } from "@winnow/evaluate/bench";
import type { Receipt } from "@winnow/runtime";
import { describe, expect, it } from "vitest";
import { decodeTable, masksTable, prefillTable } from "./tables.js";

const conditions = {
  ...{ cpu: "Some CPU", cores: 4, memoryBytes: 1e9, platform: "linux-x64" },
  ...{ node: "v20.19.0", threads: 2, isa: "x86_avx2" },
};
const receipt = {
  machine: conditions,
  versions: { winnow: "0.0.0", node: "v20.19.0" },
  isa: { native: "x86_avx2" },
  plan: { threads: 2, precision: "bf16", plugins: [{ id: "some-masker" }] },
} as unknown as Receipt;

/** The cells of the row that starts with a label. */
function cells(text: string, label: string): string[] {
  const line = text.split("\n").find((candidate) => candidate.includes(label))!;
  return line.split("│").map((cell) => cell.trim());
}

describe("masksTable", () => {
  const row = (mask: string, excess: number): MaskRow => ({
    ...{ mask, dtype: "f32", density: 0.25, computed: 0.26, fastestRatio: 0.25 + excess, excess },
    milliseconds: spreadOf([40, 50, 60]),
    timeRatio: spreadOf([0.25 + excess]),
  });
  const shape = { queryHeads: 6, kvHeads: 2, headDim: 64 };
  const bench = { bench: "masks", conditions, shape, length: 4096, target: 0.05 } as const;
  const text = masksTable({ ...bench, rows: [row("first", 0.05), row("second", 0.051)] } satisfies MasksBench);

  it("masksTable says for each mask whether its time is within the target over its density", () => {
    expect(cells(text, "first")).toContain("+5.00 % met");
    expect(cells(text, "second")).toContain("+5.10 % missed");
  });

  it("masksTable states shape, length, machine, threads and instruction set", () => {
    for (const part of ["6/2 heads of 64, 4096 tokens", "Some CPU", "2 threads", "x86_avx2"])
      expect(text).toContain(part);
  });
});

describe("prefillTable", () => {
  const measured = (ms: number) => ({
    timeToFirstTokenMs: spreadOf([2 * ms]),
    attentionMs: spreadOf([ms]),
    estimateMs: spreadOf([ms / 10]),
    projectionMs: spreadOf([3]),
    computed: spreadOf([0.25]),
  });
  const summary = { prompts: 20, configuredFound: 19, configured: measured(100) };
  const bench = { bench: "prefill", length: 4096, rows: [], receipt } as const;

  it("prefillTable shows no ratio where no prompt ran dense", () => {
    const text = prefillTable({ ...bench, summary } satisfies PrefillBench);
    expect(cells(text, "needle found").slice(2, 5)).toEqual(["19 of 20", "-", ""]);
    for (const part of ["Some CPU", "2 threads", "native (x86_avx2), bf16", "some-masker"])
      expect(text).toContain(part);
  });

  it("prefillTable counts the needles that dense finds, and those of them that the plugins keep", () => {
    const dense = {
      ...{ prompts: 5, found: 4, foundByBoth: 3, measured: measured(400), estimateShare: spreadOf([0.025]) },
      overConfigured: { timeToFirstTokenMs: spreadOf([4]), attentionMs: spreadOf([4]) },
    };
    const text = prefillTable({ ...bench, summary: { ...summary, dense } } satisfies PrefillBench);
    expect(cells(text, "needle found").slice(3, 5)).toEqual(["4 of 5", "3 of 4 that dense finds"]);
    expect(cells(text, "time to first token").slice(2, 5)).toEqual(["200 ms", "800 ms", "4.00x"]);
  });
});

describe("decodeTable", () => {
  it("decodeTable says whether the time follows the bytes within the target, in both directions", () => {
    const times = { tokenMs: spreadOf([2]), attentionMs: spreadOf([1]), selectMs: spreadOf([0]) };
    const variant = { found: true, ...times, bytesRead: 2 ** 20, read: 1 };
    const bench = (deviation: number): DecodeBench => ({
      ...{ bench: "decode", promptTokens: 100, tokens: 8, full: variant, pruned: variant, bytesRatio: 1 },
      ...{ attentionRatio: spreadOf([1 + deviation]), withSelectionRatio: spreadOf([2]), tokenRatio: spreadOf([1]) },
      ...{ deviation, target: 0.25 },
      receipts: { full: receipt, pruned: receipt },
    });
    const verdicts = [0.25, -0.25, 0.26, -0.26].map(
      (deviation) => /met|missed/.exec(decodeTable(bench(deviation)))![0],
    );
    expect(verdicts).toEqual(["met", "met", "missed", "missed"]);
  });
});
