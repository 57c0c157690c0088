import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DenseWeight, toBf16 } from "@winnow/core";
import { afterAll, describe, expect, it } from "vitest";
import { decodeWeight, examples } from "./compact/oracle.js";
import type { StoredTensor } from "./folder.js";
import { readSafetensorsHeader } from "./safetensors.js";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
import { profitableFormats, tensorReport, weightReport } from "./weight-report.js";

const root = mkdtempSync(join(tmpdir(), "winnow-report-"));
afterAll(() => rmSync(root, { recursive: true }));

const operations = { decodeWeight };

function dense(rows: readonly (readonly number[])[]): DenseWeight {
  const data = Float32Array.from(rows.flat());
  return { format: "dense", dtype: "f32", outFeatures: rows.length, inFeatures: rows[0].length, data };
}

function stored(tensor: TensorToWrite): StoredTensor {
  const path = join(mkdtempSync(join(root, "t")), "x.safetensors");
  writeSafetensors(path, { x: tensor });
  const file = readSafetensorsHeader(path);
  return { file, entry: file.tensors.get("x")! };
}

/** Whether every aligned group of `of` holds at most `keep` non-zeros. */
function holds(rows: readonly (readonly number[])[], keep: number, of: number): boolean {
  return rows.every((row) => {
    for (let start = 0; start < row.length; start += of)
      if (row.slice(start, start + of).filter((w) => w !== 0).length > keep) return false;
    return true;
  });
}

describe("weightReport", () => {
  it("weightReport counts zeros, -0 among them, and rows without any weight", () => {
    const report = weightReport(
      dense([
        [0, -0, 3],
        [0, 0, 0],
        [1, 2, -3],
      ]),
      operations,
    );
    expect(report).toMatchObject({
      outFeatures: 3,
      inFeatures: 3,
      format: "dense",
      dtype: "f32",
      zeros: 5,
      emptyRows: 1,
    });
    expect(report.zeroShare).toBe(5 / 9);
    expect(report).toMatchObject({ bytes: 36, denseBytes: 18 });
  });

  it("weightReport sorts weights into bins of one power of two, those below 2^-126 into one", () => {
    const report = weightReport(dense([[1, -1.99, 2, 0.25, 1e-40, 0]]), operations);
    expect(report.histogram).toEqual([
      { exponent: -127, count: 1 },
      { exponent: -2, count: 1 },
      { exponent: 0, count: 2 },
      { exponent: 1, count: 1 },
    ]);
  });

  it("weightReport lists the N:M patterns that hold, the sparsest first", () => {
    const twoOfFour = [
      [1, 1, 0, 0, 1, 0, 1, 0],
      [0, 0, 1, 1, 0, 0, 0, 0],
    ];
    expect(weightReport(dense(twoOfFour), operations).patterns).toEqual(["4:16", "2:4", "4:8", "8:16"]);
    expect(weightReport(dense([[1, 0, 0, 1]]), operations).patterns).toEqual(
      ["2:16", "2:8", "1:2", "2:4", "4:8", "4:16", "8:16"].sort(bySparsity),
    );
    expect(weightReport(dense([[1, 1, 1]]), operations).patterns).toEqual(["4:16", "4:8", "8:16"]);
    expect(weightReport(dense([new Array(16).fill(1)]), operations).patterns).toEqual([]);
  });

  it.each(Object.keys(examples))("weightReport sees the numbers behind %s", (name) => {
    const { weight, numbers } = examples[name](33, 20, new Float32Array(33));
    const report = weightReport(weight, operations);
    const flat = numbers.flat();
    expect(report.zeros).toBe(flat.filter((w) => w === 0).length);
    expect(report.emptyRows).toBe(numbers.filter((row) => row.every((w) => w === 0)).length);
    expect(report.histogram.reduce((sum, { count }) => sum + count, 0)).toBe(flat.length - report.zeros);
    for (const [keep, of] of [
      [1, 2],
      [2, 4],
      [4, 8],
      [8, 16],
      [1, 4],
      [2, 8],
    ])
      expect(report.patterns.includes(`${keep}:${of}`), `${keep}:${of}`).toBe(holds(numbers, keep, of));
  });

  it("weightReport counts the bytes of the weight without its bias", () => {
    const { weight } = examples["groups 2:4"](16, 8, new Float32Array(16));
    expect(weightReport(weight, operations).bytes).toBe(2 * 2 * 16 * 2 + 2 * 2 * 4);
  });
});

describe("tensorReport", () => {
  const numbers = Float32Array.of(0, 1, -0.5, 0, 0, 3);

  it.each<[string, TensorToWrite]>([
    ["F32", { dtype: "F32", shape: [2, 3], data: numbers }],
    ["BF16", { dtype: "BF16", shape: [2, 3], data: Uint16Array.from(numbers, toBf16) }],
    ["F16", { dtype: "F16", shape: [2, 3], data: Uint16Array.of(0, 0x3c00, 0xb800, 0x8000, 0, 0x4200) }],
  ])("tensorReport reads %s", (dtype, tensor) => {
    const report = tensorReport(stored(tensor));
    expect(report).toMatchObject({ format: "plain", dtype, zeros: 3, emptyRows: 0, denseBytes: 12 });
    expect(report.histogram).toEqual([
      { exponent: -1, count: 1 },
      { exponent: 0, count: 1 },
      { exponent: 1, count: 1 },
    ]);
  });

  it("tensorReport goes through a tensor larger than one piece and counts each weight once", () => {
    const data = new Uint16Array(1024 * 5000).fill(0x3f80);
    for (let e = 0; e < data.length; e += 3) data[e] = 0;
    const report = tensorReport(stored({ dtype: "BF16", shape: [5000, 1024], data }));
    expect(report.zeros).toBe(Math.ceil(data.length / 3));
    expect(report.histogram).toEqual([{ exponent: 0, count: data.length - report.zeros }]);
  });

  it.each<[string, TensorToWrite]>([
    ["a vector", { dtype: "F32", shape: [6], data: numbers }],
    ["integers", { dtype: "I32", shape: [1, 1], data: Int32Array.of(1) }],
    ["an empty matrix", { dtype: "F32", shape: [0, 3], data: new Float32Array(0) }],
  ])("tensorReport refuses %s", (_what, tensor) => {
    expect(() => tensorReport(stored(tensor))).toThrow(/must be a matrix of F32, F16 or BF16/);
  });
});

describe("profitableFormats", () => {
  const report = (zeros: number) =>
    weightReport(dense([Array.from({ length: 100 }, (_, i) => (i % 100 < zeros ? 0 : 1))]), operations);

  it("profitableFormats starts at 35 % zeros for bf16 and 45 % for int8", () => {
    expect(profitableFormats(report(34))).toEqual([]);
    expect(profitableFormats(report(35))).toEqual(["bitmap bf16"]);
    expect(profitableFormats(report(45))).toEqual(["bitmap bf16", "bitmap int8"]);
  });

  it("profitableFormats names the sparsest pattern", () => {
    expect(
      profitableFormats(weightReport(dense([[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]]), operations)),
    ).toContain("groups 1:4");
  });
});

function bySparsity(a: string, b: string): number {
  const share = (pattern: string) => Number(pattern.split(":")[0]) / Number(pattern.split(":")[1]);
  return share(a) - share(b) || Number(a.split(":")[1]) - Number(b.split(":")[1]);
}
