import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DenseWeight, fromBf16, type LinearWeight, toBf16 } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import { type ModelConfig, parseModelConfig } from "./config.js";
import { fromF16 } from "./float-convert.js";
import { openModelFolder } from "./folder.js";
import type { JsonObject } from "./json.js";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
import { requiredTensors } from "./tensor-layout.js";
import { loadWeights, type ModelWeights } from "./weights.js";

const root = mkdtempSync(join(tmpdir(), "winnow-weights-"));
afterAll(() => rmSync(root, { recursive: true }));

const json: JsonObject = {
  model_type: "qwen3",
  vocab_size: 5,
  hidden_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 2,
  intermediate_size: 3,
  max_position_embeddings: 16,
  attention_bias: true,
};

type Tensors = Record<string, TensorToWrite>;

/** Distinct small numbers, exact in bf16. */
function tensorsOf(config: ModelConfig): Tensors {
  const tensors: Tensors = {};
  let next = 0;
  for (const [name, shape] of requiredTensors(config)) {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).map(() => (next++ % 128) / 8);
    tensors[name] = { dtype: "F32", shape, data };
  }
  return tensors;
}

interface Case {
  readonly change?: (tensors: Tensors) => void;
  readonly json?: JsonObject;
  readonly options?: Partial<Parameters<typeof loadWeights>[3]>;
}

function load({ change, json: jsonChange, options }: Case): ModelWeights {
  const config = parseModelConfig({ ...json, ...jsonChange });
  const tensors = tensorsOf(config);
  change?.(tensors);
  const path = mkdtempSync(join(root, "m"));
  writeFileSync(join(path, "config.json"), JSON.stringify({ ...json, ...jsonChange }));
  writeSafetensors(join(path, "model.safetensors"), tensors);
  return loadWeights(openModelFolder(path), config, createReference(), { precision: "f32", ...options });
}

/** `[outFeatures, inFeatures]` numbers of a weight, found by multiplying with the unit matrix. */
function matrixOf(weight: LinearWeight): number[][] {
  const { inFeatures, outFeatures } = weight;
  const units = new Float32Array(inFeatures * inFeatures);
  for (let i = 0; i < inFeatures; i++) units[i * inFeatures + i] = 1;
  const out = new Float32Array(inFeatures * outFeatures);
  createReference().linear(units, inFeatures, { ...weight, bias: undefined } as LinearWeight, out);
  return Array.from({ length: outFeatures }, (_, o) =>
    Array.from({ length: inFeatures }, (_, i) => out[i * outFeatures + o]),
  );
}

const rowsOf = (data: ArrayLike<number>, width: number) =>
  Array.from({ length: data.length / width }, (_, row) =>
    Array.from({ length: width }, (_, i) => data[row * width + i]),
  );

const set = (name: string, change: Partial<TensorToWrite>) => (tensors: Tensors) => {
  tensors[name] = { ...tensors[name], ...change };
};

const withValue = (name: string, index: number, value: number) => (tensors: Tensors) => {
  (tensors[name].data as Float32Array)[index] = value;
};

describe("loadWeights", () => {
  it("loadWeights gives each matrix, bias and norm its role", () => {
    const tensors = tensorsOf(parseModelConfig(json));
    const data = (name: string) => tensors[name].data as Float32Array;
    const { layers, embedding, finalNorm, head } = load({});
    const prefix = "model.layers.1.";
    const [, layer] = layers;
    expect(matrixOf(layer.q)).toEqual(rowsOf(data(`${prefix}self_attn.q_proj.weight`), 6));
    expect(matrixOf(layer.k)).toEqual(rowsOf(data(`${prefix}self_attn.k_proj.weight`), 6));
    expect(matrixOf(layer.v)).toEqual(rowsOf(data(`${prefix}self_attn.v_proj.weight`), 6));
    expect(matrixOf(layer.o)).toEqual(rowsOf(data(`${prefix}self_attn.o_proj.weight`), 8));
    expect(matrixOf(layer.gate)).toEqual(rowsOf(data(`${prefix}mlp.gate_proj.weight`), 6));
    expect(matrixOf(layer.up)).toEqual(rowsOf(data(`${prefix}mlp.up_proj.weight`), 6));
    expect(matrixOf(layer.down)).toEqual(rowsOf(data(`${prefix}mlp.down_proj.weight`), 3));
    expect(layer.q.bias).toEqual(data(`${prefix}self_attn.q_proj.bias`));
    expect(layer.o.bias).toEqual(data(`${prefix}self_attn.o_proj.bias`));
    expect(layer.gate.bias).toBeUndefined();
    expect(layer.attentionNorm).toEqual(data(`${prefix}input_layernorm.weight`));
    expect(layer.mlpNorm).toEqual(data(`${prefix}post_attention_layernorm.weight`));
    expect(layer.qNorm).toEqual(data(`${prefix}self_attn.q_norm.weight`));
    expect(layer.kNorm).toEqual(data(`${prefix}self_attn.k_norm.weight`));
    expect(embedding).toEqual(data("model.embed_tokens.weight"));
    expect(finalNorm).toEqual(data("model.norm.weight"));
    expect(matrixOf(head)).toEqual(rowsOf(data("lm_head.weight"), 6));
  });

  it("loadWeights uses the embedding table as the head where embeddings are tied", () => {
    const { head, embedding } = load({ json: { tie_word_embeddings: true } });
    expect(matrixOf(head)).toEqual(rowsOf(embedding, 6));
  });

  it("loadWeights shares the table itself with a tied head where kernels take dense weights", () => {
    const config = parseModelConfig({ ...json, tie_word_embeddings: true });
    const path = mkdtempSync(join(root, "m"));
    writeFileSync(join(path, "config.json"), JSON.stringify(json));
    writeSafetensors(join(path, "model.safetensors"), tensorsOf(config));
    const dense = { packWeight: (weight: DenseWeight) => ({ ...weight, data: weight.data.slice() }) };
    const { head, embedding } = loadWeights(openModelFolder(path), config, dense, { precision: "f32" });
    expect(head.format === "dense" && head.data).toBe(embedding);
  });

  it("loadWeights widens F16 exactly and keeps BF16 tables as they are", () => {
    const half = { dtype: "F16", data: Uint16Array.from({ length: 30 }, (_, i) => 0x3c00 + i * 37) } as const;
    expect([...load({ change: set("model.embed_tokens.weight", half) }).embedding]).toEqual(
      [...half.data].map(fromF16),
    );
    const brain = { dtype: "BF16", data: Uint16Array.from({ length: 30 }, (_, i) => 0x3f80 + i) } as const;
    expect(load({ change: set("model.embed_tokens.weight", brain) }).embedding).toEqual(brain.data);
  });

  it("loadWeights with precision bf16 rounds matrices and the table but not norms", () => {
    const third = 1 / 3;
    const weights = load({
      change: (tensors) => {
        withValue("model.embed_tokens.weight", 0, third)(tensors);
        withValue("model.layers.0.self_attn.q_proj.weight", 0, third)(tensors);
        withValue("model.norm.weight", 0, third)(tensors);
      },
      options: { precision: "bf16" },
    });
    expect(weights.embedding[0]).toBe(toBf16(third));
    expect(weights.layers[0].q.dtype).toBe("bf16");
    expect(matrixOf(weights.layers[0].q)[0][0]).toBe(fromBf16(toBf16(third)));
    expect(weights.finalNorm[0]).toBe(Math.fround(third));
  });

  it("loadWeights puts everything on shared memory: a structured clone sees the same numbers", () => {
    const weights = load({ json: { tie_word_embeddings: true } });
    const clone = structuredClone(weights);
    clone.finalNorm[0] = 1234;
    clone.embedding[0] = 1234;
    (clone.layers[0].q.bias as Float32Array)[0] = 1234;
    (clone.layers[0].q as { data: Float32Array }).data[0] = 1234;
    expect(weights.finalNorm[0]).toBe(1234);
    expect(weights.embedding[0]).toBe(1234);
    expect(weights.layers[0].q.bias?.[0]).toBe(1234);
    expect(matrixOf(weights.layers[0].q)[0][0]).toBe(1234);
  });

  it("loadWeights reports each tensor once", () => {
    const seen: number[] = [];
    load({ options: { onProgress: ({ tensorsDone, tensors }) => seen.push(tensorsDone / tensors) } });
    const { size } = requiredTensors(parseModelConfig(json));
    expect(seen).toEqual(Array.from({ length: size }, (_, i) => (i + 1) / size));
  });

  it("loadWeights stops between tensors when cancelled", () => {
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    let done = 0;
    const onProgress = () => {
      if (++done === 3) Atomics.store(cancel, 0, 1);
    };
    expect(() => load({ options: { cancel, onProgress } })).toThrow(expect.objectContaining({ code: "ERR_CANCELLED" }));
    expect(done).toBe(3);
  });

  it("loadWeights tolerates tables of inverse frequencies, and a head beside tied embeddings", () => {
    const change = (tensors: Tensors) => {
      tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = { dtype: "F32", shape: [1], data: Float32Array.of(1) };
      tensors["lm_head.weight"] = { ...tensors["model.embed_tokens.weight"], data: new Float32Array(30) };
    };
    expect(load({ change, json: { tie_word_embeddings: true } }).embedding[1]).toBe(1 / 8);
  });

  it.each<[string, Case, RegExp]>([
    [
      "a missing tensor",
      { change: (t) => delete t["model.layers.1.mlp.up_proj.weight"] },
      /"model\.layers\.1\.mlp\.up_proj\.weight".*it is missing/,
    ],
    [
      "a missing head",
      { change: (t) => delete t["lm_head.weight"] },
      /"lm_head\.weight".*missing.*tie_word_embeddings/,
    ],
    [
      "a tensor too many",
      {
        change: (t) => {
          t["model.layers.2.mlp.up_proj.weight"] = t["model.layers.1.mlp.up_proj.weight"];
        },
      },
      /"model\.layers\.2\.mlp\.up_proj\.weight".*a qwen3 model of 2 layers has no such tensor/,
    ],
    [
      "a bias that the config does not announce",
      {
        change: (t) => {
          t["model.layers.0.mlp.up_proj.bias"] = t["model.layers.0.mlp.up_proj.weight"];
        },
      },
      /no such tensor/,
    ],
    [
      "a transposed shape",
      { change: set("model.layers.0.mlp.up_proj.weight", { shape: [6, 3] }) },
      /shape must be \[3, 6\] according to config\.json, got \[6, 3\]/,
    ],
    [
      "a shape of other rank",
      { change: set("model.norm.weight", { shape: [1, 6] }) },
      /shape must be \[6\] .*got \[1, 6\]/,
    ],
    [
      "a table with other rows than vocab_size",
      { change: set("model.embed_tokens.weight", { shape: [6, 5] }) },
      /shape must be \[5, 6\]/,
    ],
    [
      "a tied head of another shape",
      {
        json: { tie_word_embeddings: true },
        change: (t) => {
          t["lm_head.weight"] = { dtype: "F32", shape: [1], data: new Float32Array(1) };
        },
      },
      /"lm_head\.weight".*shape must be \[5, 6\]/,
    ],
    [
      "integers",
      { change: set("model.norm.weight", { dtype: "I32", data: new Int32Array(6) }) },
      /dtype must be F32, F16 or BF16, got I32/,
    ],
    [
      "NaN in a matrix",
      { change: withValue("model.layers.0.self_attn.k_proj.weight", 9, Number.NaN) },
      /"model\.layers\.0\.self_attn\.k_proj\.weight".*\[1, 3\] is not/,
    ],
    [
      "infinity in a norm",
      { change: withValue("model.norm.weight", 5, -Infinity) },
      /"model\.norm\.weight".*\[5\] is not/,
    ],
    [
      "NaN in F16",
      { change: set("model.norm.weight", { dtype: "F16", data: Uint16Array.of(0, 0, 0x7e00, 0, 0, 0) }) },
      /\[2\] is not/,
    ],
    [
      "infinity in BF16",
      { change: set("model.norm.weight", { dtype: "BF16", data: Uint16Array.of(0xff80, 0, 0, 0, 0, 0) }) },
      /\[0\] is not/,
    ],
    [
      "a float32 that bf16 would round to infinity",
      { change: withValue("model.layers.0.mlp.up_proj.weight", 0, 3.4e38), options: { precision: "bf16" } },
      /finite in bf16, but \[0, 0\] is not/,
    ],
  ])("loadWeights refuses %s", (_what, given, message) => {
    expect(() => load(given)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR", message: expect.stringMatching(message) }),
    );
  });
});

describe("fromF16", () => {
  it("fromF16 of hand-picked bits", () => {
    expect([0x3c00, 0xc000, 0x0001, 0x0400, 0x7bff, 0x3555].map(fromF16)).toEqual([
      1,
      -2,
      2 ** -24,
      2 ** -14,
      65504,
      0.333251953125,
    ]);
    expect(Object.is(fromF16(0x8000), -0)).toBe(true);
    expect([fromF16(0x7c00), fromF16(0xfc00), fromF16(0x7e00)]).toEqual([Infinity, -Infinity, Number.NaN]);
  });
});
