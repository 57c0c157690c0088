import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import { readBitmask } from "./bitmask.js";
import { bytesIn, makeModel, modelConfig, modelJson } from "./compact/model-fixture.js";
import { decodeWeight } from "./compact/oracle.js";
import { writeModel } from "./compact/write-model.js";
import { readModelConfig } from "./config.js";
import { openModelFolder } from "./folder.js";
import { loadSafetensors } from "./safetensors.js";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
import { bitmaskReport } from "./weight-report.js";
import { loadWeights } from "./weights.js";

const root = mkdtempSync(join(tmpdir(), "winnow-bitmask-"));
afterAll(() => rmSync(root, { recursive: true }));

const UP = "model.layers.0.mlp.up_proj.weight";
const sparseOnly = {
  quant_method: "compressed-tensors",
  format: "dense",
  config_groups: {},
  sparsity_config: { format: "sparse-bitmask", global_sparsity: 0.5, sparsity_structure: "unstructured" },
};

/** bf16 bits of the matrix, about half of them zero, one row empty. */
const dense = Uint16Array.from({ length: 33 * 20 }, (_, e) =>
  (e * 7) % 5 < 2 || (e >= 20 && e < 40) ? 0 : 0x3f00 + e,
);

/** Compresses as the format is described: non-zeros by rows, bits from the lowest of each byte, starts of rows. */
function compress(rows: number, columns: number): Record<string, TensorToWrite> {
  const bytes = Math.ceil(columns / 8);
  const bitmask = new Uint8Array(rows * bytes);
  const offsets = new BigInt64Array(rows);
  const values: number[] = [];
  for (let row = 0; row < rows; row++) {
    offsets[row] = BigInt(values.length);
    for (let column = 0; column < columns; column++) {
      const value = dense[row * columns + column];
      if (value === 0) continue;
      bitmask[row * bytes + Math.floor(column / 8)] |= 2 ** (column % 8);
      values.push(value);
    }
  }
  return {
    [`${UP}.compressed`]: { dtype: "BF16", shape: [values.length], data: Uint16Array.from(values) },
    [`${UP}.bitmask`]: { dtype: "U8", shape: [rows, bytes], data: bitmask },
    [`${UP}.shape`]: { dtype: "I64", shape: [2], data: BigInt64Array.of(BigInt(rows), BigInt(columns)) },
    [`${UP}.row_offsets`]: { dtype: "I64", shape: [rows], data: offsets },
  };
}

type Parts = Record<string, TensorToWrite>;

/** A model with one matrix compressed. */
function checkpoint(change: (parts: Parts) => void = () => {}, quantization: unknown = sparseOnly): string {
  const source = makeModel(root);
  const folder = mkdtempSync(join(root, "checkpoint"));
  cpSync(source.path, folder, { recursive: true });
  const { metadata, tensors } = loadSafetensors(join(source.path, "model.safetensors"));
  const parts = compress(33, 20);
  change(parts);
  const { [UP]: _, ...others } = Object.fromEntries(tensors);
  writeSafetensors(join(folder, "model.safetensors"), { ...others, ...parts }, metadata);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...modelJson, quantization_config: quantization }));
  return folder;
}

describe("a sparse-bitmask checkpoint", () => {
  it("readBitmask follows the worked example: row (0,5,0,0,7,0,0,9) is byte 0x92 and values 5, 7, 9", () => {
    const path = join(root, "worked.safetensors");
    writeSafetensors(path, {
      "w.compressed": { dtype: "F32", shape: [3], data: Float32Array.of(5, 7, 9) },
      "w.bitmask": { dtype: "U8", shape: [1, 1], data: Uint8Array.of(0x92) },
      "w.shape": { dtype: "I64", shape: [2], data: BigInt64Array.of(1n, 8n) },
      "w.row_offsets": { dtype: "I64", shape: [1], data: BigInt64Array.of(0n) },
    });
    const folder = mkdtempSync(join(root, "worked"));
    writeFileSync(join(folder, "config.json"), "{}");
    cpSync(path, join(folder, "model.safetensors"));
    const matrix = openModelFolder(folder).bitmasks.get("w")!;
    expect([...new Float32Array(readBitmask(matrix).buffer as ArrayBuffer)]).toEqual([0, 5, 0, 0, 7, 0, 0, 9]);
  });

  it("loadWeights expands its matrices", () => {
    const folder = openModelFolder(checkpoint());
    expect([...folder.bitmasks.keys()]).toEqual([UP]);
    const { layers } = loadWeights(folder, readModelConfig(folder), createReference(), { precision: "bf16" });
    const bits = new Uint32Array(decodeWeight(layers[0].up).data.buffer);
    expect([...bits].map((word) => word >>> 16)).toEqual([...dense]);
  });

  it("bitmaskReport counts its zeros and bytes", () => {
    const report = bitmaskReport(openModelFolder(checkpoint()).bitmasks.get(UP)!);
    const zeros = dense.filter((bits) => bits === 0).length;
    expect(report).toMatchObject({ format: "sparse-bitmask", dtype: "BF16", zeros, emptyRows: 1 });
    expect(report.bytes).toBe(2 * (dense.length - zeros) + 33 * 3 + 33 * 8);
  });

  it("writeModel turns it into an ordinary model, whose config.json no longer speaks of compression", async () => {
    const out = join(root, "out");
    const source = openModelFolder(checkpoint());
    await writeModel(out, source, new Map(), { form: "plain", provenance: {}, operations: { decodeWeight } });
    expect(bytesIn(join(out, "model.safetensors"), UP)).toEqual(Buffer.from(dense.buffer));
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toEqual(modelJson);
    expect(openModelFolder(out).bitmasks.size).toBe(0);
  });

  it.each<[string, (parts: Parts) => void, RegExp]>([
    ["a missing part", (p) => delete p[`${UP}.row_offsets`], /needs ".*row_offsets", which is missing/],
    [
      "values of another type",
      (p) => Object.assign(p[`${UP}.compressed`], { dtype: "U16" }),
      /must be F32, F16 or BF16, got U16/,
    ],
    [
      "a shape of one size",
      (p) => Object.assign(p[`${UP}.shape`], { shape: [1], data: BigInt64Array.of(9n) }),
      /must be two I64/,
    ],
    [
      "a negative size",
      (p) => Object.assign(p[`${UP}.shape`], { data: BigInt64Array.of(-1n, 20n) }),
      /two sizes, got -1, 20/,
    ],
    [
      "a bitmask of another shape",
      (p) => Object.assign(p[`${UP}.shape`], { data: BigInt64Array.of(33n, 30n) }),
      /must be U8 of shape \[33, 4\]/,
    ],
    [
      "a shape that config.json contradicts",
      (p) => Object.assign(p[`${UP}.shape`], { data: BigInt64Array.of(33n, 19n) }),
      /\[33, 20\] according to config\.json, got \[33, 19\]/,
    ],
    [
      "offsets that disagree",
      (p) => ((p[`${UP}.row_offsets`].data as BigInt64Array)[3] = 1n),
      /row 3 must start at \d+ .*got 1/,
    ],
    ["a bit too few", (p) => ((p[`${UP}.bitmask`].data as Uint8Array)[98] ^= 8), /the bitmask marks \d+ values/],
    [
      "a bit beyond the last column",
      (p) => ((p[`${UP}.bitmask`].data as Uint8Array)[2] |= 128),
      /row 0 marks column 23, but has 20/,
    ],
    ["NaN", (p) => ((p[`${UP}.compressed`].data as Uint16Array)[0] = 0x7fc0), /finite in bf16/],
  ])("loadWeights refuses one with %s", (_what, change, message) => {
    const path = checkpoint((parts) => void change(parts));
    expect(() => loadWeights(openModelFolder(path), modelConfig, createReference(), { precision: "bf16" })).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR", message: expect.stringMatching(message) }),
    );
  });

  it.each([
    ["quantised weights too", { ...sparseOnly, config_groups: { group_0: {} } }],
    ["a packed format", { ...sparseOnly, format: "pack-quantized" }],
  ])("readModelConfig refuses %s", (_what, quantization) => {
    const folder = openModelFolder(checkpoint(undefined, quantization));
    expect(() => readModelConfig(folder)).toThrow(expect.objectContaining({ code: "ERR_MODEL_CONFIG" }));
  });
});
