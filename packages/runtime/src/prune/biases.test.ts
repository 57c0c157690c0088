import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBf16, type Projection, toBf16 } from "@winnow/core";
import { loadSafetensors } from "@winnow/models";
import { createEngine, type PipelineInput, type PruneOptions, prune } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { allTokens } from "../../test-support/engines.js";
import { PruneBench, type TestPlugin } from "../../test-support/prune-bench.js";
import { tinyPipeline, writeTinyModel } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
beforeAll(() => {
  bench = new PruneBench(tempFolder());
});

/** A tiny model of another configuration. */
function model(config: Record<string, unknown>, dtype: "F32" | "BF16" = "F32"): string {
  const parent = bench.path("model");
  mkdirSync(parent);
  return writeTinyModel(parent, { dtype, config });
}

const qwen2 = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: null };

/** Replaces what half of the inputs add by its mean, as the bias: needs statistics, so that errors of one layer reach the next. */
function meanFolding(declares = "changesBias: true,"): TestPlugin {
  return bench.plugin(`() => ({
    statistics: ["mean"],
    ${declares}
    sparsify({ weight, statistics: { mean } }) {
      const { inFeatures, outFeatures } = weight;
      const data = weight.data.map((value, e) => (e % 2 ? value : 0));
      const bias = Float32Array.from({ length: outFeatures }, (_, o) => weight.bias?.[o] ?? 0);
      for (let o = 0; o < outFeatures; o++)
        for (let i = 0; i < inFeatures; i += 2) bias[o] += weight.data[o * inFeatures + i] * mean[i];
      return { ...weight, data, bias };
    },
  })`);
}

async function answerOf(input: PipelineInput) {
  await using engine = await createEngine(input);
  const options = { maxNewTokens: 6, stop: { endOfSequence: false } };
  const tokens = await allTokens(engine.generate({ ids: [5, 6, 7, 8] }, options));
  return tokens.map(({ id, logProbability }) => [id, logProbability]);
}

interface Run {
  readonly folder: string;
  readonly projections: Projection[];
  readonly form: PruneOptions["form"];
  readonly precision?: "f32" | "bf16";
  readonly used?: TestPlugin;
}

async function runBoth({ folder, projections, form = "plain", precision = "f32", used = meanFolding() }: Run) {
  const pipeline = tinyPipeline(folder, {
    precision,
    plugins: [used.module],
    weights: [{ sparsifier: used.id, projections }],
    calibration: { text: bench.text, sequences: 5, length: 20 },
  });
  const out = bench.path("biased");
  const labels: string[] = [];
  await prune(pipeline, { out, form, onProgress: (_, label) => labels.push(label) }).catch((error) => {
    throw Object.assign(error, { labels });
  });
  return { out, memory: await answerOf(pipeline), written: await answerOf(tinyPipeline(out, { precision })) };
}

const configOf = (out: string) => JSON.parse(readFileSync(join(out, "config.json"), "utf8"));

describe("prune with a sparsifier that brings biases", () => {
  test.each(["plain", "sparse"] as const)(
    "writes them: the folder answers as the engine does, Llama, %s",
    async (form) => {
      const folder = model({});
      const { out, memory, written } = await runBoth({ folder, projections: ["o_proj", "down_proj"], form });
      expect(written).toEqual(memory);
      expect(written).not.toEqual(await answerOf(tinyPipeline(folder)));
      const { attention_bias, mlp_bias } = configOf(out);
      expect([attention_bias, mlp_bias]).toEqual(form === "plain" ? [true, true] : [undefined, undefined]);
    },
  );

  test("sets the flag of the family alone that got biases, with zeros for its other matrices", async () => {
    const { out } = await runBoth({ folder: model({}), projections: ["v_proj"], form: "plain" });
    expect(configOf(out)).toMatchObject({ attention_bias: true });
    expect(configOf(out)).not.toHaveProperty("mlp_bias");
    const { tensors } = loadSafetensors(join(out, "model.safetensors"));
    expect(tensors.get("model.layers.1.self_attn.q_proj.bias")?.data).toEqual(new Float32Array(16));
    const { data } = tensors.get("model.layers.1.self_attn.v_proj.bias")!;
    expect([...(data as Float32Array)].every((x) => x !== 0)).toBe(true);
  });

  test.each([
    ["Qwen2 has of q, k and v", qwen2, ["q_proj", "k_proj", "v_proj"]],
    ["Llama has with attention_bias and mlp_bias", { attention_bias: true, mlp_bias: true }, ["o_proj", "up_proj"]],
  ] as [string, Record<string, unknown>, Projection[]][])("replaces those that %s", async (_, config, projections) => {
    const folder = model(config);
    const { out, memory, written } = await runBoth({ folder, projections, form: "plain" });
    expect(written).toEqual(memory);
    expect(configOf(out)).toEqual(configOf(folder));
  });

  test.each(["plain", "sparse"] as const)(
    "rounds them to the model's own bf16, in memory as in the folder: %s",
    async (form) => {
      const folder = model({}, "BF16");
      const { out, memory, written } = await runBoth({ folder, projections: ["down_proj"], form, precision: "bf16" });
      expect(written).toEqual(memory);
      const { data, dtype } = loadSafetensors(join(out, "model.safetensors")).tensors.get(
        "model.layers.1.mlp.down_proj.bias",
      )!;
      expect(dtype).toBe("BF16");
      expect(Array.from(data as Uint16Array, fromBf16).every((value) => value === fromBf16(toBf16(value)))).toBe(true);
    },
  );

  test.each([
    ["Qwen2's o_proj", qwen2, ["q_proj", "o_proj"], /Layer 0, o_proj: .*plain qwen2 model.*--form sparse/],
    ["Qwen2's MLP", qwen2, ["up_proj"], /Layer 0, up_proj/],
    ["Mistral", mistral, ["q_proj"], /Layer 0, q_proj: .*plain mistral model/],
    ["Qwen3's MLP", { model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] }, ["down_proj"], /Layer 0, down_proj/],
  ] as [string, Record<string, unknown>, Projection[], RegExp][])(
    "refuses a plain folder for %s before the text is read, and writes the sparse form",
    async (_, config, projections, message) => {
      const folder = model(config);
      await expect(runBoth({ folder, projections, form: "plain" })).rejects.toMatchObject({
        code: "ERR_WEIGHT_FORMAT",
        message: expect.stringMatching(message),
        labels: ["calibration text"],
      });
      const { memory, written } = await runBoth({ folder, projections, form: "sparse" });
      expect(written).toEqual(memory);
    },
  );

  test("refuses it at the matrix where the sparsifier did not declare it", async () => {
    const run = runBoth({ folder: model(mistral), projections: ["v_proj"], form: "plain", used: meanFolding("") });
    await expect(run).rejects.toMatchObject({
      code: "ERR_WEIGHT_FORMAT",
      message: expect.stringMatching(/Layer 0, v_proj/),
    });
  });

  test("knows it of a sparsifier inside weights-per-layer", async () => {
    const used = meanFolding();
    const weights = [{ sparsifier: "weights-per-layer", options: { layers: [{ layers: 2, plugin: used.id }] } }];
    const calibration = { text: bench.text, sequences: 5, length: 20 };
    const pipeline = tinyPipeline(model(mistral), { plugins: [used.module], weights, calibration });
    const labels: string[] = [];
    const run = prune(pipeline, { out: bench.path("nested"), onProgress: (_, label) => labels.push(label) });
    await expect(run).rejects.toMatchObject({ code: "ERR_WEIGHT_FORMAT" });
    expect(labels).toEqual(["calibration text"]);
  });
});
