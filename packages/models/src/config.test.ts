import { describe, expect, it } from "vitest";
import { parseModelConfig, readModelConfig } from "./config.js";
import type { JsonObject } from "./json.js";

const base: JsonObject = {
  model_type: "llama",
  vocab_size: 320,
  hidden_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 160,
  max_position_embeddings: 512,
};
const qwen = { ...base, model_type: "qwen2" };

const configError = (message: RegExp) =>
  expect.objectContaining({ code: "ERR_MODEL_CONFIG", message: expect.stringMatching(message) });

describe("parseModelConfig", () => {
  it("parseModelConfig fills in the defaults of a plain Llama", () => {
    expect(parseModelConfig(base)).toEqual({
      architecture: "llama",
      vocabSize: 320,
      hiddenSize: 64,
      layers: 3,
      queryHeads: 4,
      kvHeads: 2,
      headDim: 16,
      intermediateSize: 160,
      contextLength: 512,
      normEpsilon: 1e-6,
      activation: "silu",
      tiedEmbeddings: false,
      attentionBias: { q: false, k: false, v: false, o: false },
      mlpBias: false,
      qkNorm: false,
      slidingWindow: [null, null, null],
      rope: { theta: 10000, scaling: { type: "default" } },
    });
  });

  it("parseModelConfig finds the architecture by class name where model_type is absent", () => {
    const { model_type: _, ...rest } = base;
    expect(parseModelConfig({ ...rest, architectures: ["Qwen2ForCausalLM"] }).architecture).toBe("qwen2");
  });

  it("parseModelConfig takes KV heads = query heads only for Llama, whose older files have no such key", () => {
    const { num_key_value_heads: _, ...rest } = base;
    expect(parseModelConfig(rest).kvHeads).toBe(4);
    expect(() => parseModelConfig({ ...rest, model_type: "mistral" })).toThrow(
      configError(/"num_key_value_heads".*got nothing/),
    );
  });

  it.each<[string, JsonObject, object]>([
    [
      "Llama biases",
      { ...base, attention_bias: true, mlp_bias: true },
      { attentionBias: { q: true, k: true, v: true, o: true }, mlpBias: true },
    ],
    ["an explicit head_dim", { ...base, head_dim: 32 }, { headDim: 32 }],
    ["tied embeddings", { ...base, tie_word_embeddings: true }, { tiedEmbeddings: true }],
    ["the tanh form of GELU", { ...base, hidden_act: "gelu_pytorch_tanh" }, { activation: "gelu-tanh" }],
    [
      "Mistral's window of every layer",
      { ...base, model_type: "mistral", sliding_window: 24 },
      { slidingWindow: [24, 24, 24] },
    ],
    [
      "Mistral's null: no window",
      { ...base, model_type: "mistral", sliding_window: null },
      { slidingWindow: [null, null, null] },
    ],
    ["Mistral's default window", { ...base, model_type: "mistral" }, { slidingWindow: [4096, 4096, 4096] }],
    ["Qwen2's QKV bias", qwen, { attentionBias: { q: true, k: true, v: true, o: false } }],
    [
      "a window that Qwen2 does not use",
      { ...qwen, sliding_window: 24, use_sliding_window: false },
      { slidingWindow: [null, null, null] },
    ],
    [
      "Qwen2's window from max_window_layers on",
      { ...qwen, sliding_window: 24, use_sliding_window: true, max_window_layers: 1 },
      { slidingWindow: [null, 24, 24] },
    ],
    [
      "layer_types before max_window_layers",
      {
        ...qwen,
        sliding_window: 24,
        use_sliding_window: true,
        max_window_layers: 1,
        layer_types: ["sliding_attention", "full_attention", "full_attention"],
      },
      { slidingWindow: [24, null, null] },
    ],
    [
      "Qwen3's QK norm and default head_dim",
      { ...base, model_type: "qwen3" },
      { qkNorm: true, headDim: 128, attentionBias: { q: false, k: false, v: false, o: false } },
    ],
    [
      "old RoPE keys",
      { ...base, rope_theta: 5e5, rope_scaling: { type: "linear", factor: 2 } },
      { rope: { theta: 5e5, scaling: { type: "linear", factor: 2 } } },
    ],
    [
      "new RoPE keys",
      { ...base, rope_parameters: { rope_theta: 5e5, rope_type: "linear", factor: 2 } },
      { rope: { theta: 5e5, scaling: { type: "linear", factor: 2 } } },
    ],
    [
      "llama3 scaling",
      {
        ...base,
        rope_scaling: {
          rope_type: "llama3",
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 64,
        },
      },
      {
        rope: {
          theta: 10000,
          scaling: { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 64 },
        },
      },
    ],
    [
      "YaRN with the paper's defaults",
      { ...base, rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 128 } },
      {
        rope: {
          theta: 10000,
          scaling: {
            type: "yarn",
            factor: 4,
            betaFast: 32,
            betaSlow: 1,
            originalContextLength: 128,
            truncate: true,
            attentionFactor: 0.1 * Math.log(4) + 1,
          },
        },
      },
    ],
    [
      "YaRN with mscale",
      { ...base, rope_scaling: { type: "yarn", factor: 4, mscale: 1, mscale_all_dim: 0.5, truncate: false } },
      {
        rope: {
          theta: 10000,
          scaling: {
            type: "yarn",
            factor: 4,
            betaFast: 32,
            betaSlow: 1,
            originalContextLength: 512,
            truncate: false,
            attentionFactor: (0.1 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1),
          },
        },
      },
    ],
  ])("parseModelConfig reads %s", (_what, json, expected) => {
    expect(parseModelConfig(json)).toMatchObject(expected);
  });

  it.each<[string, JsonObject, RegExp]>([
    ...["gemma2", "gpt2", "phi3", "opt"].map((type): [string, JsonObject, RegExp] => [
      `the unsupported ${type} before its other keys`,
      { model_type: type },
      new RegExp(`"model_type" must be one of the supported architectures llama, mistral, qwen2, qwen3, got "${type}"`),
    ]),
    ["a file that names no architecture", {}, /"model_type" must be one of .*, got nothing/],
    ["a model_type named like an object property", { ...base, model_type: "constructor" }, /supported architectures/],
    [
      "another head than a language model's",
      { ...base, architectures: ["LlamaForSequenceClassification"] },
      /"architectures" must be \["LlamaForCausalLM"\]/,
    ],
    ["a missing key", { ...base, vocab_size: undefined }, /"vocab_size" must be .*got nothing/],
    ["a size given as text", { ...base, hidden_size: "64" }, /"hidden_size".*got "64"/],
    ["zero layers", { ...base, num_hidden_layers: 0 }, /"num_hidden_layers".*got 0/],
    ["an absurd size", { ...base, intermediate_size: 1e15 }, /"intermediate_size".*got 1000000000000000/],
    [
      "heads that KV heads do not divide",
      { ...base, num_key_value_heads: 3 },
      /"num_key_value_heads" must be a divisor of num_attention_heads \(4\), got 3/,
    ],
    [
      "a width that heads do not divide",
      { ...base, hidden_size: 66 },
      /"hidden_size" must be a multiple of num_attention_heads/,
    ],
    ["an odd head_dim", { ...base, head_dim: 15 }, /"head_dim" must be even/],
    ["an unknown activation", { ...base, hidden_act: "mish" }, /"hidden_act" must be one of silu.*got "mish"/],
    [
      "quantised weights",
      { ...base, quantization_config: { quant_method: "gptq" } },
      /"quantization_config" must be absent/,
    ],
    [
      "layer_types of the wrong length",
      { ...qwen, layer_types: ["full_attention"] },
      /"layer_types" must be a list of num_hidden_layers \(3\)/,
    ],
    [
      "an unknown layer type",
      { ...qwen, layer_types: ["full_attention", "full_attention", "linear_attention"] },
      /got "linear_attention"/,
    ],
    [
      "sliding layers without a window",
      { ...qwen, layer_types: ["sliding_attention", "full_attention", "full_attention"] },
      /full_attention only, because use_sliding_window/,
    ],
    [
      "dynamic RoPE",
      { ...base, rope_scaling: { type: "dynamic", factor: 2 } },
      /"rope_scaling\.rope_type" must be one of "default", "linear", "llama3", "yarn", got "dynamic"/,
    ],
    ["multi-axis RoPE", { ...base, rope_scaling: { type: "mrope", mrope_section: [1] } }, /got "mrope"/],
    [
      "RoPE settings per layer type",
      { ...base, rope_parameters: { full_attention: { rope_type: "default" } } },
      /"rope_parameters\.full_attention"/,
    ],
    ["partial rotation", { ...base, partial_rotary_factor: 0.5 }, /"partial_rotary_factor" must be 1/],
    [
      "a scaling without its factor",
      { ...base, rope_scaling: { type: "linear" } },
      /"rope_scaling\.factor".*got nothing/,
    ],
    [
      "a scaling factor below 1",
      { ...base, rope_scaling: { type: "linear", factor: 0.5 } },
      /"rope_scaling\.factor".*got 0\.5/,
    ],
    [
      "llama3 bands in the wrong order",
      { ...base, rope_scaling: { type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 1 } },
      /"rope_scaling\.high_freq_factor" must be larger than low_freq_factor, got 1/,
    ],
    [
      "contradicting old and new theta",
      { ...base, rope_theta: 1e6, rope_parameters: { rope_theta: 1e4 } },
      /"rope_theta" must be the same as rope_parameters\.rope_theta \(10000\), got 1000000/,
    ],
    ["a theta that gives no frequencies", { ...base, rope_theta: 1 }, /rope_theta" must be a number above 1, got 1/],
  ])("parseModelConfig refuses %s", (_what, json, message) => {
    expect(() => parseModelConfig(json)).toThrow(configError(message));
  });
});

describe("readModelConfig", () => {
  it("readModelConfig names the file of the folder in its errors", () => {
    const none = { tensors: new Map(), matrices: new Map(), bitmasks: new Map(), addedBiases: [] };
    const folder = { path: "some-model", config: { model_type: "opt" }, generationConfig: {}, ...none };
    expect(() => readModelConfig(folder)).toThrow(configError(/Cannot use "some-model.config\.json": "model_type"/));
  });
});
