import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DenseWeight, fromBf16, type LinearWeight } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { type MagnitudeBin, openModelFolder, readTensor, writeModel } from "@winnow/models";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type InspectOptions, inspectCommand } from "./inspect.js";

const model = fileURLToPath(new URL("../../../../models/winnow-16m-32k", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "winnow-inspect-"));
afterAll(() => rmSync(root, { recursive: true }));

const GATE = "model.layers.1.mlp.gate_proj.weight";
const UP = "model.layers.1.mlp.up_proj.weight";
const plain = join(root, "plain");
const sparse = join(root, "sparse");

/** The model with every second weight of two matrices removed. */
beforeAll(async () => {
  const source = openModelFolder(model);
  const operations = createReference();
  const pruned = new Map<string, DenseWeight>([GATE, UP].map((name) => [name, halved(name)]));
  const encoded = new Map<string, LinearWeight>([
    [GATE, operations.encodeWeight(pruned.get(GATE)!, { format: "bitmap", dtype: "bf16" })],
    [UP, operations.encodeWeight(pruned.get(UP)!, { format: "groups", keep: 2, of: 4 })],
  ]);
  const provenance = { method: "every second" };
  await writeModel(plain, source, pruned, { form: "plain", provenance, operations });
  await writeModel(sparse, source, encoded, { form: "sparse", provenance, operations });

  function halved(name: string): DenseWeight {
    const { file, entry } = source.tensors.get(name)!;
    const bytes = readTensor(file, entry);
    const data = Float32Array.from(new Uint16Array(bytes.buffer), (bits, e) => (e % 2 ? 0 : fromBf16(bits) || 1));
    return { format: "dense", dtype: "f32", outFeatures: entry.shape[0], inFeatures: entry.shape[1], data };
  }
}, 60_000);

let printed = "";
beforeEach(() => {
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

async function inspect(folder: string, options: InspectOptions = {}): Promise<string> {
  expect(await inspectCommand(folder, options, { signal: new AbortController().signal })).toBe(0);
  return printed;
}

const rowOf = (text: string, name: string) =>
  text
    .split("\n")
    .find((line) => line.includes(name))
    ?.split("│")
    .map((cell) => cell.trim());

describe("winnow inspect", () => {
  test("shows the zeros of a plain model that was pruned, and which formats would profit", async () => {
    const text = await inspect(plain, { layers: "1" });
    expect(rowOf(text, GATE)?.slice(2, -1)).toEqual([
      "1024 x 384",
      "plain BF16",
      "50.0 %",
      "1:2",
      "0",
      "0.75",
      "0.75",
      "bitmap bf16, bitmap int8, groups 1:2",
    ]);
    expect(rowOf(text, "model.layers.1.self_attn.q_proj.weight")?.at(-2)).toBe("-");
    expect(text).toContain('Provenance: {"method":"every second"}');
  });

  test("shows what a compact model stores, with the bytes that it saves", async () => {
    const text = await inspect(sparse, { layers: "1" });
    expect(rowOf(text, GATE)?.slice(3, 6)).toEqual(["bitmap bf16", "50.0 %", "1:2"]);
    // MiB: a bit for each of 1024 x 384 weights and 2 bytes for each other one, with the panels' offsets 0.422; dense 0.75.
    expect(rowOf(text, GATE)?.slice(7, 9)).toEqual(["0.42", "0.75"]);
    expect(rowOf(text, UP)?.slice(3, 6)).toEqual(["groups bf16", "50.0 %", "1:2"]);
  });

  test("--json gives every matrix and totals that add up", async () => {
    const { matrices, total, provenance } = JSON.parse(await inspect(sparse, { json: true }));
    expect(provenance).toEqual({ method: "every second" });
    expect(matrices.length).toBe(openModelFolder(model).tensors.size - norms());
    const sum = (key: string) => matrices.reduce((all: number, matrix: Record<string, number>) => all + matrix[key], 0);
    expect(total).toMatchObject({ zeros: sum("zeros"), bytes: sum("bytes"), denseBytes: sum("denseBytes") });
    const weights = total.histogram.reduce((all: number, bin: MagnitudeBin) => all + bin.count, 0);
    expect(weights + total.zeros).toBe(total.weights);
    expect(matrices.find(({ name }: { name: string }) => name === GATE)).toMatchObject({
      zeros: 1024 * 192,
      zeroShare: 0.5,
    });
  });

  test("--histogram prints one line for each power of two", async () => {
    const text = await inspect(model, { layers: "0", histogram: true });
    expect(rowOf(text, " 6.25e-2")).toBeDefined();
    expect(text).toMatch(/#{40}/);
  });

  test.each([
    ["1-0", /must be a list such as 0,2-4, got "1-0"/],
    ["a", /got "a"/],
    ["77", /names layer 77, which .* does not have/],
  ])("refuses --layers %s", async (layers, message) => {
    await expect(inspect(model, { layers })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_USAGE", message: expect.stringMatching(message) }),
    );
  });

  test("stops when it is interrupted", async () => {
    await expect(inspectCommand(model, {}, { signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow("stop");
  });
});

function norms(): number {
  return [...openModelFolder(model).tensors.values()].filter(({ entry }) => entry.shape.length === 1).length;
}
