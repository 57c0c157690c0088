import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LinearWeight, toBf16 } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import { readModelConfig } from "../config.js";
import { type ModelFolder, openModelFolder } from "../folder.js";
import type { JsonObject } from "../json.js";
import { linearSpecs } from "../tensor-layout.js";
import { loadWeights } from "../weights.js";
import { bytesIn, makeModel, modelJson, parseFile, withHeader } from "./model-fixture.js";
import { decodeWeight, examples } from "./oracle.js";
import { type WriteModelOptions, writeModel } from "./write-model.js";

const root = mkdtempSync(join(tmpdir(), "winnow-bias-"));
afterAll(() => rmSync(root, { recursive: true }));

const Q = "model.layers.0.self_attn.q_proj";
const UP = "model.layers.1.mlp.up_proj";
const O = "model.layers.0.self_attn.o_proj";

/** Numbers that bf16 holds exactly. */
const biasOf = (length: number) => Float32Array.from({ length }, (_, o) => ((5 * o) % 17) / 8 - 1);
const matrix = (out: number, inputs: number, bias: Float32Array): LinearWeight =>
  examples["groups 2:4"](out, inputs, bias).weight;
const bits = (numbers: Float32Array) => Buffer.from(Uint16Array.from(numbers, toBf16).buffer);

let outputs = 0;
async function written(
  source: ModelFolder,
  matrices: Parameters<typeof writeModel>[2],
  form: WriteModelOptions["form"],
) {
  const out = join(root, `out-${outputs++}`);
  await writeModel(out, source, matrices, { form, provenance: {}, operations: { decodeWeight } });
  return out;
}

function load(out: string) {
  const folder = openModelFolder(out);
  return loadWeights(folder, readModelConfig(folder), createReference(), { precision: "bf16" });
}

const json = (out: string): JsonObject => JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
const weights = (out: string) => join(out, "model.safetensors");
const block = (out: string) => JSON.parse(parseFile(weights(out)).metadata.winnow);

describe("writeModel and biases that matrices bring", () => {
  const source = makeModel(root);

  it.each(["plain", "sparse"] as const)("writeModel replaces one that the model has: %s", async (form) => {
    const bias = biasOf(20);
    const out = await written(source, new Map([[`${Q}.weight`, matrix(20, 20, bias)]]), form);
    expect(bytesIn(weights(out), `${Q}.bias`)).toEqual(bits(bias));
    expect(load(out).layers[0].q.bias).toEqual(bias);
    expect(json(out)).toEqual(modelJson);
    expect(block(out).formatVersion).toBe(1);
    for (const name of source.tensors.keys())
      if (name.endsWith(".bias") && name !== `${Q}.bias`)
        expect(bytesIn(weights(out), name)).toEqual(bytesIn(weights(source.path), name));
  });

  it("writeModel leaves one as it is that the matrix did not change, or does not bring", async () => {
    const own = load(source.path).layers[0].q.bias as Float32Array;
    const out = await written(source, new Map([[`${Q}.weight`, matrix(20, 20, own)]]), "plain");
    expect(bytesIn(weights(out), `${Q}.bias`)).toEqual(bytesIn(weights(source.path), `${Q}.bias`));
    const without = await written(source, new Map([[`${Q}.weight`, examples["groups 2:4"](20, 20).weight]]), "plain");
    expect(bytesIn(weights(without), `${Q}.bias`)).toEqual(bytesIn(weights(source.path), `${Q}.bias`));
  });

  it("writeModel, plain, adds one where config.json can announce it: the key is set and the rest of the family gets zeros", async () => {
    const bias = biasOf(33);
    const out = await written(source, new Map([[`${UP}.weight`, matrix(33, 20, bias)]]), "plain");
    expect(json(out)).toEqual({ ...modelJson, mlp_bias: true });
    const { entries } = parseFile(weights(out));
    const added = Object.keys(entries).filter((name) => !source.tensors.has(name));
    const mlp = [0, 1].flatMap((layer) =>
      ["gate", "up", "down"].map((m) => `model.layers.${layer}.mlp.${m}_proj.bias`),
    );
    expect(added.sort()).toEqual(mlp.sort());
    expect(bytesIn(weights(out), `${UP}.bias`)).toEqual(bits(bias));
    for (const name of mlp)
      if (name !== `${UP}.bias`) expect(bytesIn(weights(out), name).every((byte) => byte === 0)).toBe(true);
    expect(entries["model.layers.0.mlp.down_proj.bias"]).toMatchObject({ dtype: "BF16", shape: [20] });
  });

  it("writeModel, sparse, adds one alone, says so in the metadata and writes version 2, which version 1 refuses", async () => {
    const bias = biasOf(33);
    const out = await written(source, new Map([[`${UP}.weight`, matrix(33, 20, bias)]]), "sparse");
    expect(json(out)).toEqual(modelJson);
    expect(block(out)).toMatchObject({ formatVersion: 2, biases: [`${UP}.bias`] });
    const { layers } = load(out);
    expect(layers[1].up.bias).toEqual(bias);
    expect(layers[0].up.bias).toBeUndefined();
  });

  it("writeModel, sparse, adds one to a dense matrix too", async () => {
    const bias = biasOf(33);
    const dense = decodeWeight(matrix(33, 20, bias));
    const out = await written(source, new Map([[`${UP}.weight`, { ...dense, bias }]]), "sparse");
    expect(openModelFolder(out).matrices.size).toBe(0);
    expect(load(out).layers[1].up.bias).toEqual(bias);
  });

  it("writeModel takes a sparse model with added biases as source, in either form", async () => {
    const bias = biasOf(33);
    const first = await written(source, new Map([[`${UP}.weight`, matrix(33, 20, bias)]]), "sparse");
    const again = await written(openModelFolder(first), new Map(), "sparse");
    expect(block(again)).toMatchObject({ formatVersion: 2, biases: [`${UP}.bias`] });
    const plain = await written(openModelFolder(first), new Map(), "plain");
    expect(json(plain)).toMatchObject({ mlp_bias: true });
    expect(load(plain).layers[1].up.bias).toEqual(bias);
    expect(load(plain).layers[0].down.bias).toEqual(new Float32Array(20));
    const other = biasOf(33).map((value) => -value);
    const changed = await written(openModelFolder(first), new Map([[`${UP}.weight`, matrix(33, 20, other)]]), "sparse");
    expect(load(changed).layers[1].up.bias).toEqual(other);
  });

  it("writeModel divides shards between added biases as between all tensors", async () => {
    const out = join(root, `out-${outputs++}`);
    const all = [...linearSpecs(readModelConfig(source))].filter(([name]) => name.includes(".mlp."));
    const matrices = new Map(
      all.map(([name, { outFeatures, inFeatures }]) => [name, matrix(outFeatures, inFeatures, biasOf(outFeatures))]),
    );
    const options = { form: "sparse", provenance: {}, operations: { decodeWeight }, shardBytes: 500 } as const;
    await writeModel(out, source, matrices, options);
    for (const { up, down } of load(out).layers) {
      expect(up.bias).toEqual(biasOf(33));
      expect(down.bias).toEqual(biasOf(20));
    }
  });

  it.each([
    ["qwen2, whose o_proj has none", { ...modelJson, model_type: "qwen2" }, O, 20, 20, /a qwen2 model has none there/],
    ["qwen3, whose MLP has none", { ...modelJson, model_type: "qwen3" }, UP, 33, 20, /a qwen3 model has none there/],
    [
      "mistral",
      { ...modelJson, model_type: "mistral" },
      UP,
      33,
      20,
      /other programs would ignore it; use form: sparse/,
    ],
  ])(
    "writeModel, plain, refuses to add one to %s; the sparse form holds it",
    async (_what, config, name, out, inputs, message) => {
      const other = makeModel(root, "BF16", { ...config, head_dim: 10 });
      const matrices = new Map([[`${name}.weight`, matrix(out, inputs, biasOf(out))]]);
      await expect(written(other, matrices, "plain")).rejects.toMatchObject({
        code: "ERR_WEIGHT_FORMAT",
        message: expect.stringMatching(message),
      });
      const { layers } = load(await written(other, matrices, "sparse"));
      expect((name === O ? layers[0].o : layers[1].up).bias).toEqual(biasOf(out));
    },
  );

  it("openModelFolder refuses a file that lists a bias and lacks it; checkTensors one that lists a bias of no matrix", async () => {
    const lists = (name: string) => (file: ReturnType<typeof parseFile>) => {
      file.metadata.winnow = JSON.stringify({ ...JSON.parse(file.metadata.winnow), biases: [name] });
    };
    const added = new Map([[`${UP}.weight`, matrix(33, 20, biasOf(33))]]);
    const lacking = await written(source, added, "sparse");
    withHeader(weights(lacking), lists("model.layers.0.mlp.up_proj.bias"));
    expect(() => openModelFolder(lacking)).toThrow(/lists it as a bias, but it is missing/);
    const strange = await written(source, added, "sparse");
    withHeader(weights(strange), (file) => {
      file.entries["model.layers.7.mlp.up_proj.bias"] = file.entries[`${UP}.bias`];
      delete file.entries[`${UP}.bias`];
      lists("model.layers.7.mlp.up_proj.bias")(file);
    });
    expect(() => load(strange)).toThrow(/no such tensor/);
  });
});
