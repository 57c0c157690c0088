import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkTensors, openModelFolder, readModelConfig, readTensor } from "@winnow/models";
import { describe, expect, it } from "vitest";
import { decoderShape, parameterCount, vocabularyOf, writeSyntheticModel } from "./synthetic-model.js";

const shipped = fileURLToPath(new URL("../../../../models/winnow-16m-32k", import.meta.url));

describe("decoderShape", () => {
  it.each([1e8, 5e8, 1e9, 7e9])("decoderShape of %f parameters has so many within 8 %%", (parameters) => {
    const count = parameterCount(decoderShape(parameters, 8192));
    expect(Math.abs(count / parameters - 1)).toBeLessThan(0.08);
  });

  it.each([1, 1e6, 3e7, 5e8])("query heads of %f parameters are a multiple of KV heads", (parameters) => {
    const { queryHeads, kvHeads, hiddenSize, layers } = decoderShape(parameters, 8192);
    expect(queryHeads % kvHeads).toBe(0);
    expect(hiddenSize).toBe(64 * queryHeads);
    expect(layers).toBeGreaterThanOrEqual(2);
  });
});

it("writeSyntheticModel writes a folder that loads, with the tokenizer's vocabulary and no zeros", () => {
  const folder = mkdtempSync(join(tmpdir(), "winnow-synthetic-"));
  try {
    const shape = { ...decoderShape(1, vocabularyOf(shipped)), layers: 1 };
    writeSyntheticModel(folder, shipped, shape);
    const model = openModelFolder(folder);
    const config = readModelConfig(model);
    checkTensors(model, config);
    expect(config).toMatchObject({ layers: 1, hiddenSize: 64, vocabSize: 8192, tiedEmbeddings: true });
    const { file, entry } = model.tensors.get("model.layers.0.mlp.up_proj.weight")!;
    const bits = new Uint16Array(readTensor(file, entry).buffer);
    expect(bits).toHaveLength(64 * shape.intermediateSize);
    expect(bits.every((value) => (value & 0x7fff) !== 0)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
