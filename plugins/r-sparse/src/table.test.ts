import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projections, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { Seeded } from "@winnow/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { Setting } from "./budget.js";
import plugin from "./index.js";
import { formatTable, parseTable, readTable } from "./table.js";

const folder = mkdtempSync(join(tmpdir(), "winnow-r-sparse-"));
afterAll(() => rmSync(folder, { recursive: true }));

const model = { layers: 2, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };
const settings: Setting[] = Array.from({ length: 14 }, (_, m) => ({ ratio: (m % 5) / 4, sparsity: 0.5 + m / 100 }));

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

describe("r-sparse table", () => {
  it("readTable reads what formatTable wrote, one number a line, ratio before sparsity", () => {
    const text = formatTable(settings);
    expect(text.split("\n").slice(0, 4)).toEqual(["0", "0.5", "0.25", "0.51"]);
    expect(readTable(file("good.txt", text), model)).toEqual(settings);
  });

  it("takes pairs on a line, scientific notation as numpy writes it, Windows line ends and blank lines", () => {
    const text = settings
      .map(({ ratio, sparsity }) => `  ${ratio.toExponential(18)}\t${sparsity.toExponential(18)}\r\n\r\n`)
      .join("");
    expect(parseTable(text, "x.txt", 2)).toEqual(settings);
  });

  it.each([
    ["an empty file", "", "ERR_PLAN_CONFLICT", 1, "after 0 numbers, expected 28"],
    [
      "one number too few",
      formatTable(settings).trimEnd().split("\n").slice(1).join("\n"),
      "ERR_PLAN_CONFLICT",
      27,
      "after 27 numbers",
    ],
    ["one number too many", `${formatTable(settings)}0.5\n`, "ERR_PLAN_CONFLICT", 29, "more than 28 numbers"],
    ["a word", "1\n0.5\nhalf\n", "ERR_CONFIG_SYNTAX", 3, 'ratio of k_proj of layer 0 must be a number, got "half"'],
    ["NaN", "nan 0.5", "ERR_CONFIG_SYNTAX", 1, "ratio of q_proj"],
    [
      "a ratio above 1",
      `${"1 0.5\n".repeat(8)}1.5 0.5`,
      "ERR_OPTION_RANGE",
      9,
      "ratio of k_proj of layer 1 must be in 0..1, got 1.5",
    ],
    ["a negative sparsity", "1\n-0.5\n", "ERR_OPTION_RANGE", 2, "sparsity of q_proj of layer 0"],
    ["infinity", "Infinity", "ERR_OPTION_RANGE", 1, "must be in 0..1"],
    ["a binary file", "\u0093NUMPY\u0001", "ERR_CONFIG_SYNTAX", 1, "must be a number"],
  ])("%s is refused with its line", (_, text, code, line, message) => {
    const error = errorOf(() => parseTable(text, "ratios.npy", 2));
    expect(error).toMatchObject({ code, location: { line }, message: expect.stringContaining(message) });
    expect(error.message).toContain(`ratios.npy: line ${line}`);
  });

  it("a missing file and a folder are refused", () => {
    for (const path of [join(folder, "missing.txt"), folder])
      expect(errorOf(() => readTable(path, model)).code).toBe("ERR_CONFIG_FILE");
  });

  it("check reports a bad table as a problem of table, before weights are read", () => {
    const check = (table: string) => plugin.check?.(plugin.options.parse({ table }), model);
    expect(check(file("bad.txt", "1 2"))).toMatchObject([
      { path: ["table"], message: expect.stringContaining("line 1") },
    ]);
    expect(check(file("fits.txt", formatTable(settings)))).toEqual([]);
  });

  it("a sparsifier with a table gives each matrix its own ratio and sparsity, and both budgets at least 1", () => {
    const table = file("used.txt", formatTable(settings));
    const sparsifier = plugin.create(plugin.options.parse({ table }), model);
    const inputs = new Seeded(1).normals(32);
    const weight = {
      format: "dense",
      dtype: "f32",
      outFeatures: 3,
      inFeatures: 4,
      data: new Seeded(2).normals(12),
    } as const;
    const facts = [0, 1].flatMap((layer) =>
      projections.map((projection) => {
        let seen: Record<string, unknown> = {};
        const report: WeightContext["report"] = (given) => {
          seen = { ...given };
        };
        const result = sparsifier.sparsify({
          layer,
          projection,
          weight,
          original: weight,
          statistics: { tokens: 8, sequences: 1, inputs },
          dtype: "f32",
          operations: createReference(),
          report,
        });
        return { ...seen, factors: result.format === "channels" && result.lowRank !== undefined };
      }),
    );
    for (const [m, { ratio, sparsity }] of settings.entries())
      expect(facts[m]).toMatchObject({ ratio, sparsity, factors: ratio < 1 });
  });
});
