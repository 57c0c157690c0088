import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import { readBitmask } from "./bitmask.js";
import { bytesIn, makeModel, modelJson } from "./compact/model-fixture.js";
import { decodeWeight } from "./compact/oracle.js";
import { writeModel } from "./compact/write-model.js";
import { readModelConfig } from "./config.js";
import { openModelFolder } from "./folder.js";
import { loadSafetensors } from "./safetensors.js";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
import { bitmaskReport } from "./weight-report.js";
import { loadWeights } from "./weights.js";

const root = mkdtempSync(join(tmpdir(), "winnow-bitmask-24-"));
afterAll(() => rmSync(root, { recursive: true }));

const UP = "model.layers.0.mlp.up_proj";
const quantization = {
  quant_method: "compressed-tensors",
  format: "dense",
  config_groups: {},
  sparsity_config: { format: "sparse-24-bitmask", sparsity_structure: "2:4", ignore: ["lm_head"], targets: [] },
};

/** Which 2 of 4 neighbours are kept, in turn. */
const pairs = [
  [0, 1],
  [0, 2],
  [0, 3],
  [1, 2],
  [1, 3],
  [2, 3],
] as const;

type Parts = Record<string, TensorToWrite>;

/** bf16 bits of a matrix and its parts, as the format is described; of the second row every kept value is 0. 20 columns end inside a byte of the bitmask. */
function example(rows = 33, columns = 20): { dense: Uint16Array; parts: Parts } {
  const dense = new Uint16Array(rows * columns);
  const bytes = Math.ceil(columns / 8);
  const bitmask = new Uint8Array(rows * bytes);
  const values: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < columns / 4; group++) {
      for (const place of pairs[(row + group) % 6]) {
        const column = 4 * group + place;
        const value = row === 1 ? 0 : 0x3f00 + row * columns + column;
        dense[row * columns + column] = value;
        values.push(value);
        bitmask[row * bytes + Math.floor(column / 8)] += 2 ** (column % 8);
      }
    }
  }
  const parts: Parts = {
    [`${UP}.compressed`]: { dtype: "BF16", shape: [rows, columns / 2], data: Uint16Array.from(values) },
    [`${UP}.bitmask`]: { dtype: "U8", shape: [rows, bytes], data: bitmask },
    [`${UP}.shape`]: { dtype: "I64", shape: [2, 1], data: BigInt64Array.of(BigInt(rows), BigInt(columns)) },
  };
  return { dense, parts };
}

/** A model with one matrix in the 2:4 form. */
function checkpoint(change: (parts: Parts) => void = () => {}): string {
  const source = makeModel(root);
  const folder = mkdtempSync(join(root, "checkpoint"));
  cpSync(source.path, folder, { recursive: true });
  const { metadata, tensors } = loadSafetensors(join(source.path, "model.safetensors"));
  const { parts } = example();
  change(parts);
  const { [`${UP}.weight`]: _, ...others } = Object.fromEntries(tensors);
  writeSafetensors(join(folder, "model.safetensors"), { ...others, ...parts }, metadata);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...modelJson, quantization_config: quantization }));
  return folder;
}

function load(path: string) {
  const folder = openModelFolder(path);
  return loadWeights(folder, readModelConfig(folder), createReference(), { precision: "bf16" });
}

describe("a sparse-24-bitmask checkpoint", () => {
  it("readBitmask follows a worked example: (0,5,7,0, 9,0,0,0) keeps the 0 beside the 9, is byte 0x36 and values 5, 7, 9, 0", () => {
    const folder = mkdtempSync(join(root, "worked"));
    writeFileSync(join(folder, "config.json"), "{}");
    writeSafetensors(join(folder, "model.safetensors"), {
      "w.compressed": { dtype: "F32", shape: [1, 4], data: Float32Array.of(5, 7, 9, 0) },
      "w.bitmask": { dtype: "U8", shape: [1, 1], data: Uint8Array.of(0x36) },
      "w.shape": { dtype: "I64", shape: [2, 1], data: BigInt64Array.of(1n, 8n) },
    });
    const matrix = openModelFolder(folder).bitmasks.get("w.weight")!;
    expect(matrix.format).toBe("sparse-24-bitmask");
    expect([...new Float32Array(readBitmask(matrix).buffer as ArrayBuffer)]).toEqual([0, 5, 7, 0, 9, 0, 0, 0]);
  });

  it("loadWeights expands its matrices under the names that end in .weight", () => {
    const path = checkpoint();
    expect([...openModelFolder(path).bitmasks.keys()]).toEqual([`${UP}.weight`]);
    const words = new Uint32Array(decodeWeight(load(path).layers[0].up).data.buffer);
    expect([...words].map((word) => word >>> 16)).toEqual([...example().dense]);
  });

  it("bitmaskReport names the form, counts stored zeros as zeros and finds 2:4", () => {
    const { dense } = example();
    const report = bitmaskReport(openModelFolder(checkpoint()).bitmasks.get(`${UP}.weight`)!);
    const zeros = dense.filter((bits) => bits === 0).length;
    expect(report).toMatchObject({ format: "sparse-24-bitmask", dtype: "BF16", zeros, emptyRows: 1 });
    expect(report.patterns).toContain("2:4");
    expect(report.bytes).toBe(dense.length + 33 * 3);
  });

  it("writeModel turns it into an ordinary model, whose config.json no longer speaks of compression", async () => {
    const out = join(root, "out");
    await writeModel(out, openModelFolder(checkpoint()), new Map(), {
      form: "plain",
      provenance: {},
      operations: { decodeWeight },
    });
    expect(bytesIn(join(out, "model.safetensors"), `${UP}.weight`)).toEqual(Buffer.from(example().dense.buffer));
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toEqual(modelJson);
  });

  const bitmaskOf = (parts: Parts) => parts[`${UP}.bitmask`].data as Uint8Array;
  it.each<[string, (parts: Parts) => void, RegExp]>([
    ["no values", (p) => delete p[`${UP}.compressed`], /needs ".*up_proj\.compressed", which is missing/],
    ["no shape", (p) => delete p[`${UP}.shape`], /needs ".*up_proj\.shape", which is missing/],
    [
      "8-bit values",
      (p) => Object.assign(p[`${UP}.compressed`], { dtype: "U16" }),
      /must be F32, F16 or BF16, got U16/,
    ],
    [
      "values as a list",
      (p) => Object.assign(p[`${UP}.compressed`], { shape: [330] }),
      /must be BF16 of shape \[33, 10\], got BF16 of shape \[330\]/,
    ],
    [
      "a row of values too few",
      (p) => Object.assign(p[`${UP}.compressed`], { shape: [32, 10], data: new Uint16Array(320) }),
      /must be BF16 of shape \[33, 10\], got BF16 of shape \[32, 10\]/,
    ],
    [
      "a bitmask of another shape",
      (p) => Object.assign(p[`${UP}.bitmask`], { shape: [99, 1] }),
      /must be U8 of shape \[33, 3\], got U8 of shape \[99, 1\]/,
    ],
    [
      "a number of columns that 4 does not divide",
      (p) => Object.assign(p[`${UP}.shape`], { data: BigInt64Array.of(33n, 18n) }),
      /must have a multiple of 4 columns, got 18/,
    ],
    [
      "a negative size",
      (p) => Object.assign(p[`${UP}.shape`], { data: BigInt64Array.of(33n, -4n) }),
      /two sizes, got 33, -4/,
    ],
    [
      "a shape of another type",
      (p) => Object.assign(p[`${UP}.shape`], { dtype: "I32", data: Int32Array.of(33, 20) }),
      /must be two I64/,
    ],
    ["a bit more", (p) => (bitmaskOf(p)[0] |= 15), /row 0 must mark 2 of the columns 0 to 3, got 4/],
    ["a bit less", (p) => (bitmaskOf(p)[98] &= 0xfe), /row 32 must mark 2 of the columns 16 to 19, got 1/],
    ["a bit in another group", (p) => (bitmaskOf(p)[0] ^= 0x81), /row 0 must mark 2 of the columns 0 to 3, got 1/],
    ["a bit beyond the last column", (p) => (bitmaskOf(p)[2] |= 0x80), /row 0 marks column 23, but has 20/],
    [
      "sizes that config.json contradicts",
      (p) => {
        const { parts } = example(32, 20);
        Object.assign(p, parts);
      },
      /\[33, 20\] according to config\.json, got \[32, 20\]/,
    ],
    ["NaN", (p) => ((p[`${UP}.compressed`].data as Uint16Array)[0] = 0x7fc0), /finite in bf16/],
  ])("loadWeights refuses one with %s", (_what, change, message) => {
    const path = checkpoint((parts) => void change(parts));
    expect(() => load(path)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR", message: expect.stringMatching(message) }),
    );
  });

  it("openModelFolder refuses one whose file was cut, and one that holds the plain matrix as well", () => {
    const cut = checkpoint();
    truncateSync(join(cut, "model.safetensors"), 4000);
    expect(() => openModelFolder(cut)).toThrow(expect.objectContaining({ code: "ERR_MODEL_FILE" }));
    const twice = checkpoint((parts) => {
      parts[`${UP}.weight`] = { dtype: "BF16", shape: [33, 20], data: example().dense };
    });
    expect(() => openModelFolder(twice)).toThrow(/stands in it twice/);
  });
});
