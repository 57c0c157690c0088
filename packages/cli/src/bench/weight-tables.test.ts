import { type PruneBench, type QualityBench, type QualityResult, spreadOf } from "@winnow/evaluate/bench";
import { describe, expect, it } from "vitest";
import { shapeOf, sharesOf } from "./weight-options.js";
import { decodeWeightsTable, pruneTable, qualityTable, resultLine, weightsTable } from "./weight-tables.js";

const conditions = {
  ...{ cpu: "Some CPU", cores: 4, memoryBytes: 1e9, platform: "linux-x64" },
  ...{ node: "v20.19.0", threads: 2, isa: "x86_avx2" },
};

/** The cells of the row that starts with a label. */
function cells(text: string, label: string): string[] {
  const line = text.split("\n").find((candidate) => candidate.includes(label))!;
  return line.split("│").map((cell) => cell.trim());
}

it("shapeOf reads outputs x inputs and refuses everything else", () => {
  expect(shapeOf("4096x11008")).toEqual({ outFeatures: 4096, inFeatures: 11008 });
  for (const text of ["", "4096", "0x4", "4x", "4x4x4", "1000000x1", "4.5x2"])
    expect(() => shapeOf(text)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
});

it("sharesOf reads shares and refuses what is not between 0 and 1", () => {
  expect(sharesOf("0.25,0.5")).toEqual([0.25, 0.5]);
  for (const text of ["", "0", "1", "0.5,", "a"])
    expect(() => sharesOf(text)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
});

describe("weightsTable", () => {
  const row = { name: "plain read", bytes: 2 ** 20, milliseconds: spreadOf([0.5]), gigabytesPerSecond: 2.1 };
  const target = { of: "byte ratio", atLeast: 0.85, reached: 0.9, met: true } as const;
  const dense = { byteRatio: 2, speedup: spreadOf([1.8]), reached: 0.9 };
  const section = { shape: { outFeatures: 8, inFeatures: 4 }, threads: 2, workingSet: 2 ** 20, conditions };
  const rows = [row, { ...row, name: "bitmap", dense, overInt4: spreadOf([0.5]), target }];
  const text = weightsTable({ bench: "weights", sections: [{ ...section, rows }] });

  it("weightsTable shows ratios and whether the target was met, and none for the plain read", () => {
    expect(cells(text, "bitmap").slice(4, 10)).toEqual([
      ...["2.1", "2.00x", "1.80x", "90.0 %", "0.50x", "85.0 % of byte ratio: met"],
    ]);
    expect(cells(text, "plain read").slice(2, 10)).toEqual(["1.00 MiB", "0.500 ms", "2.1", "", "", "", "", ""]);
  });

  it("weightsTable states shape, machine and threads", () => {
    for (const part of ["8 outputs x 4 inputs", "Some CPU", "2 threads"]) expect(text).toContain(part);
  });
});

it("decodeWeightsTable shows speed, bytes, memory and load time of each variant", () => {
  const spreads = { tokenMs: spreadOf([20]), speedup: spreadOf([2]), loadMs: spreadOf([1500]) };
  const row = { name: "int8", tokensPerSecond: 50, weightBytesRead: 2 ** 20, byteRatio: 1.9, ...spreads };
  const model = { layers: 2, hiddenSize: 64, intermediateSize: 192, queryHeads: 1, kvHeads: 1, vocabSize: 8 };
  const text = decodeWeightsTable({
    ...{ bench: "decode-weights", conditions, tokens: 32, model: { ...model, parameters: 5e8 } },
    rows: [{ ...row, residentBytes: spreadOf([2 ** 30]) }],
  });
  expect(cells(text, "int8").slice(2, 9)).toEqual([
    ...["50.0", "20.0 ms", "2.00x", "1 MiB", "1.90x", "1024 MiB", "1.50 s"],
  ]);
  expect(text).toContain("500 M parameters");
});

describe("qualityTable", () => {
  const dense: QualityResult = {
    ...{ method: "dense", setting: "", sparse: "none", needlesFound: 4, weightBytesRead: 2 ** 21, seconds: 3 },
    perplexity: [{ perplexity: 20, standardError: 0.1 }],
  };
  const half: QualityResult = { ...dense, method: "wanda", setting: "50 %", weightBytesRead: 2 ** 20, needlesFound: 3 };
  const bench: Omit<QualityBench, "results"> = {
    ...{ bench: "quality", model: "m", texts: [undefined], length: 2048, windows: 4, needles: 4, needleLength: 8192 },
    resumed: 0,
  };

  it("qualityTable shows perplexity and bytes over those of dense", () => {
    const perplexity = [{ perplexity: 30, standardError: 0.1 }];
    const text = qualityTable({ ...bench, results: [dense, { ...half, perplexity }] });
    expect(cells(text, "wanda").slice(2, 7)).toEqual([
      ...["50 %", "30.000 (1.50x)", "3 of 4", "1 MiB (50.0 %)", "3 s"],
    ]);
  });

  it("qualityTable without dense, or with a perplexity that overflowed, shows no ratio", () => {
    const infinite = { ...half, perplexity: [{ perplexity: "inf", standardError: null } as const] };
    const text = qualityTable({ ...bench, results: [infinite] });
    expect(cells(text, "wanda").slice(3, 6)).toEqual(["inf", "3 of 4", "1 MiB"]);
  });

  it("qualityTable shows the error of a cell that failed", () => {
    const failed = { ...half, perplexity: [], needlesFound: null, weightBytesRead: null, error: "No room." };
    expect(cells(qualityTable({ ...bench, results: [dense, failed] }), "wanda")).toContain("No room.");
  });

  it("resultLine says what was measured, how long it took and what is left", () => {
    expect(resultLine(half, 2, 90)).toBe("2. wanda 50 %: perplexity 20.000, 3 needles (3 s); about 90.00 s left");
    expect(resultLine({ ...dense, error: "No room." }, 1, 0)).toBe("1. dense: No room. (3 s)");
  });
});

it("pruneTable prints the projection with its formula", () => {
  const kind = { name: "down", outFeatures: 4, inFeatures: 8, count: 1, seconds: 2, peakBytes: 2 ** 20, workBytes: 0 };
  const formula = { seconds: "a formula of time", peakBytes: "a formula of memory" };
  const bench: PruneBench = {
    ...{ bench: "prune", conditions, hiddenSize: 4, intermediateSize: 8, sequences: 3, length: 2048 },
    projected: { layers: 32, tokens: 262144 },
    rows: [{ method: "wanda", kinds: [kind], tokenMs: 1.5, projection: { seconds: 600, peakBytes: 2 ** 31, formula } }],
  };
  const text = pruneTable(bench);
  for (const part of ["down: 4x8", "2.00 s", "10.0 min", "2.00 GiB", formula.seconds, formula.peakBytes])
    expect(text).toContain(part);
});

it("pruneTable says so where the calibration passes could not be measured, instead of a time", () => {
  const kind = { name: "down", outFeatures: 4, inFeatures: 8, count: 1, seconds: 2, peakBytes: 2 ** 20, workBytes: 0 };
  const projection = { seconds: null, peakBytes: 2 ** 31, formula: { seconds: "unknown", peakBytes: "a formula" } };
  const text = pruneTable({
    ...{ bench: "prune", conditions, hiddenSize: 4, intermediateSize: 8, sequences: 3, length: 2048 },
    projected: { layers: 32, tokens: 262144 },
    rows: [{ method: "sparsegpt", kinds: [kind], tokenMs: null, projection }],
  });
  expect(text).toMatch(/sparsegpt +│ lost in the noise +│ - +│ 2\.00 GiB/);
  expect(text).toContain("with more --sequences");
});
