import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projections, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import type { GreedyStep } from "./greedy.js";
import plugin from "./index.js";
import { formatTable, parseTable, readTable, requireLevel, shareAt } from "./table.js";

const folder = mkdtempSync(join(tmpdir(), "winnow-teal-"));
afterAll(() => rmSync(folder, { recursive: true }));

const model = { layers: 2, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };
const row = (sparsity: number, down: number): GreedyStep => ({
  sparsity,
  error: sparsity / 3,
  uniformError: sparsity / 2,
  shares: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, down],
});
const table = [
  [row(0.1, 0.25), row(0.3, 0.75)],
  [row(0.2, 0.5), row(0.4, 1.1)],
];
const header = `layer,sparsity,error,uniformError,${projections.join(",")}`;

function errorOf(run: () => unknown): { code: string; message: string; location?: { line: number } } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("expected an error");
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("teal table", () => {
  it("readTable reads what formatTable wrote, one line for each step", () => {
    const text = formatTable(table);
    expect(text.split("\n")[0]).toBe(header);
    expect(text.split("\n")[1]).toBe("0,0.1,0.0333333333,0.05,0.1,0.2,0.3,0.4,0.5,0.6,0.25");
    const read = readTable(file("good.csv", text), model);
    for (const [layer, steps] of table.entries())
      for (const [index, step] of steps.entries()) {
        expect(read[layer][index].shares).toEqual(step.shares);
        expect(read[layer][index].error).toBeCloseTo(step.error, 9);
      }
  });

  it("takes Windows line ends and blank lines at the end", () => {
    const text = `${formatTable(table).replaceAll("\n", "\r\n")}\r\n`;
    expect(parseTable(text, "x.csv", 2)).toHaveLength(2);
  });

  it("shareAt takes the step closest to the wanted sparsity, the earlier of two as close, and all dense before the first", () => {
    const down = (sparsity: number) => shareAt(table, 0, "down_proj", sparsity);
    expect([0, 0.04, 0.06, 0.1, 0.19, 0.21, 0.3].map(down)).toEqual([0, 0, 0.25, 0.25, 0.25, 0.75, 0.75]);
    const even = [[row(0.25, 0.5), row(0.75, 0.9)]];
    expect(shareAt(even, 0, "down_proj", 0.5)).toBe(0.5);
    expect(shareAt(table, 1, "k_proj", 0.4)).toBe(0.2);
  });

  it("a sparsifier with a table gives each matrix its own share, and one above 1 skips all", () => {
    const path = file("used.csv", formatTable(table));
    const inputs = Float32Array.from({ length: 20 }, (_, i) => i + 1);
    const threshold = (layer: number, projection: WeightContext["projection"], sparsity: number) => {
      const weight = {
        format: "dense",
        dtype: "f32",
        outFeatures: 1,
        inFeatures: 1,
        data: Float32Array.of(1),
      } as const;
      const result = plugin.create(plugin.options.parse({ table: path, sparsity }), model).sparsify({
        layer,
        projection,
        weight,
        original: weight,
        statistics: { tokens: 20, sequences: 1, inputs },
        dtype: "f32",
        operations: createReference(),
      });
      return result.format === "channels" && result.selection.rule === "threshold"
        ? result.selection.thresholds[0]
        : NaN;
    };
    expect(threshold(0, "down_proj", 0.3)).toBe(15);
    expect(threshold(0, "gate_proj", 0.3)).toBe(10);
    expect(threshold(0, "down_proj", 0)).toBe(0);
    expect(threshold(1, "down_proj", 0.3)).toBe(10);
  });

  it.each([
    ["an empty file", "", "ERR_CONFIG_SYNTAX", 1],
    ["another header", "layer,q\n0,1\n", "ERR_CONFIG_SYNTAX", 1],
    ["a short line", `${header}\n0,0.1,0,0\n`, "ERR_CONFIG_SYNTAX", 2],
    ["a word", `${header}\n0,0.1,0,0,0,0,0,0,0,0,x\n`, "ERR_CONFIG_SYNTAX", 2],
    ["an empty cell", `${header}\n0,0.1,0,0,0,0,0,0,0,0,\n`, "ERR_CONFIG_SYNTAX", 2],
    ["infinity", `${header}\n0,0.1,0,0,0,0,0,0,0,0,Infinity\n`, "ERR_CONFIG_SYNTAX", 2],
    ["a negative share", `${header}\n0,0.1,0,0,0,0,0,0,0,0,-1\n`, "ERR_OPTION_RANGE", 2],
    ["half a layer", `${header}\n0.5,0.1,0,0,0,0,0,0,0,0,0\n`, "ERR_OPTION_RANGE", 2],
    ["a layer too many", `${formatTable(table)}2,0.1,0,0,0,0,0,0,0,0,0\n`, "ERR_PLAN_CONFLICT", 6],
    ["falling sparsity", `${formatTable(table)}1,0.1,0,0,0,0,0,0,0,0,0\n`, "ERR_OPTION_RANGE", 6],
  ])("%s is refused with its line", (_, text, code, line) => {
    const error = errorOf(() => parseTable(text, "shares.csv", 2));
    expect(error).toMatchObject({ code, location: { line } });
    expect(error.message).toContain(`shares.csv: line ${line}`);
  });

  it("a layer without a line, a missing file and a folder are refused", () => {
    expect(errorOf(() => parseTable(formatTable(table), "x.csv", 3))).toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining("layer 2 has no line"),
    });
    for (const path of [join(folder, "missing.csv"), folder])
      expect(errorOf(() => readTable(path, model)).code).toBe("ERR_CONFIG_FILE");
  });

  it("a sparsity beyond the end of a layer's search is refused", () => {
    expect(() => requireLevel(table, 0.3, "x.csv")).not.toThrow();
    expect(errorOf(() => requireLevel(table, 0.35, "x.csv"))).toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining("at most 0.3, where layer 0 ends"),
    });
  });

  it("check reports a bad table as a problem of table, before weights are read", () => {
    const path = file("bad.csv", "nothing");
    expect(plugin.check?.(plugin.options.parse({ table: path }), model)).toMatchObject([
      { path: ["table"], message: expect.stringContaining("line 1") },
    ]);
    const good = file("level.csv", formatTable(table));
    expect(plugin.check?.(plugin.options.parse({ table: good, sparsity: 0.3 }), model)).toEqual([]);
    expect(plugin.check?.(plugin.options.parse({ table: good, sparsity: 0.9 }), model)).toHaveLength(1);
  });
});
