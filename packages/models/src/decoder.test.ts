import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tokensFirst } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import { parseModelConfig } from "./config.js";
import { createDecoder, type Decoder } from "./decoder.js";
import { argmax, DenseSequence, denseForward, greedyContinuation } from "./dense-forward.js";
import { openModelFolder } from "./folder.js";
import { createRopeTable } from "./rope.js";
import { loadSafetensors } from "./safetensors.js";
import { loadWeights } from "./weights.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const fixtures = here("../fixtures");
const model = here("../../../models/winnow-16m-32k");
/** The full set of recorded outputs, too large for this repository. */
const recorded = process.env.WINNOW_GOLDEN ?? here("../../../../shared/golden");

const ops = createReference();

function decoderOf(path: string, maxRows?: number): Decoder {
  const folder = openModelFolder(path);
  const config = parseModelConfig(folder.config);
  return createDecoder({ config, weights: loadWeights(folder, config, ops, { precision: "f32" }), ops, maxRows });
}

function golden(path: string): { floats: (name: string) => Float32Array; ids: (name: string) => Int32Array } {
  const { tensors } = loadSafetensors(path);
  return {
    floats: (name) => tensors.get(name)!.data as Float32Array,
    ids: (name) => tensors.get(name)!.data as Int32Array,
  };
}

/** Fails with place, expected, actual and bound. */
function expectClose(actual: Float32Array, expected: Float32Array, bound: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = argmax(actual.map((value, i) => Math.abs(value - expected[i])));
  const message = `at ${worst}: expected ${expected[worst]}, got ${actual[worst]}, bound ${bound}`;
  expect(Math.abs(actual[worst] - expected[worst]), message).toBeLessThanOrEqual(bound);
}

/**
 * Two float32 programs differ by roundings of the residual stream (2 a layer) and of sums of up to 160 products; as random errors they add to
 * about sqrt(160) units in the last place, and the widest of 32000 logits lies 4.5 deviations out: 64 units of the largest logit.
 */
const archBound = (logits: Float32Array) => 64 * 2 ** -23 * Math.max(...logits.map(Math.abs));

async function checkArchitecture(path: string): Promise<void> {
  const decoder = decoderOf(path, 37);
  const expected = golden(join(path, "golden.safetensors"));
  const ids = expected.ids("input_ids");
  expectClose(await denseForward(decoder, ids), expected.floats("logits"), archBound(expected.floats("logits")));
  expect([...(await greedyContinuation(decoder, ids, 16))]).toEqual([...expected.ids("greedy_ids")]);
}

/** The recorded numbers are float64 ones; another float32 program is up to 4.8e-5 away from them, this one should be no worse. */
const MODEL_BOUND = 5e-5;

async function checkPrompt(decoder: Decoder, path: string): Promise<void> {
  const { vocabSize, hiddenSize } = decoder.config;
  const expected = golden(path);
  const ids = expected.ids("ids");
  const hidden: Float32Array[] = [];
  const sequence = new DenseSequence(decoder, ids.length);
  const residual = await sequence.append(ids, { onLayer: (_layer, x) => hidden.push(x.slice(-hiddenSize)) });
  hidden.push(residual.slice(-hiddenSize));
  const logits = new Float32Array(ids.length * vocabSize);
  await decoder.logits(residual, ids.length, logits);
  const largest = Math.max(...expected.floats("hidden").map(Math.abs));
  expectClose(
    Float32Array.from(hidden.flatMap((x) => [...x])),
    expected.floats("hidden"),
    MODEL_BOUND * Math.max(1, largest),
  );
  expectClose(logits.slice(-vocabSize), expected.floats("logits"), MODEL_BOUND);
  expectClose(negativeLogLikelihoods(logits, ids, vocabSize), expected.floats("nll"), MODEL_BOUND);
}

/** `-log softmax(logits[i])[ids[i + 1]]` in float64. */
function negativeLogLikelihoods(logits: Float32Array, ids: Int32Array, vocabSize: number): Float32Array {
  return Float32Array.from({ length: ids.length - 1 }, (_, i) => {
    const row = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    return Math.log(sum) - row[ids[i + 1]];
  });
}

describe("denseForward", () => {
  it.each(["llama-rope-llama3", "mistral-window", "qwen2", "qwen3"])(
    "denseForward of %s gives the logits and greedy tokens of Hugging Face",
    async (name) => {
      await checkArchitecture(join(fixtures, "arch", name));
    },
  );

  it.each(["short-64", "mixed-200"])(
    "denseForward of the model in this repository gives the recorded hidden states, logits and likelihoods of %s",
    async (name) => {
      await checkPrompt(decoderOf(model), join(fixtures, "model", `${name}.safetensors`));
    },
  );
});

describe.skipIf(!existsSync(join(recorded, "arch")))("denseForward on the full set of recorded outputs", () => {
  it.each(["llama", "llama-headdim-tied", "mistral"])(
    "denseForward of %s gives the logits and greedy tokens of Hugging Face",
    async (name) => {
      await checkArchitecture(join(recorded, "arch", name));
    },
  );

  it.each(["gemma2", "gpt2", "opt", "phi3"])(
    "parseModelConfig refuses the recorded %s, naming the supported architectures",
    (name) => {
      const folder = openModelFolder(join(recorded, "arch", name));
      expect(() => parseModelConfig(folder.config)).toThrow(/supported architectures llama, mistral, qwen2, qwen3/);
    },
  );

  it("greedyContinuation of the model in this repository gives the tokens of Hugging Face", async () => {
    const decoder = decoderOf(model);
    const expected = golden(join(recorded, "model", "transformers.safetensors"));
    for (const prompt of [0, 1, 2]) {
      const ids = expected.ids(`ids_${prompt}`);
      const logits = (await denseForward(decoder, ids)).slice(-decoder.config.vocabSize);
      expectClose(logits, expected.floats(`logits_${prompt}`), MODEL_BOUND);
      expect([...(await greedyContinuation(decoder, ids, 32))]).toEqual([...expected.ids(`greedy_${prompt}`)]);
    }
  });

  // Plain TypeScript takes 20 ms a token and more; the longer prompts run where the folder was asked for.
  const prompts = ["prose-333", ...(process.env.WINNOW_GOLDEN ? ["code-512", "needle-1024", "prose-2048"] : [])];
  it.each(prompts)(
    "denseForward gives the recorded hidden states, logits and likelihoods of %s",
    { timeout: 600_000 },
    async (name) => {
      await checkPrompt(decoderOf(model), join(recorded, "model", `${name}.safetensors`));
    },
  );
});

describe("Decoder", () => {
  const path = join(fixtures, "arch", "qwen3");
  const ids = golden(join(path, "golden.safetensors")).ids("input_ids");

  it("Decoder gives the same bits whatever the chunk size", async () => {
    const expected = await denseForward(decoderOf(path, 512), ids);
    for (const maxRows of [1, 7, 64]) expect(await denseForward(decoderOf(path, maxRows), ids)).toEqual(expected);
  });

  it("attentionInputs writes q and k before RoPE where asked, which RoPE turns into q and k", async () => {
    const decoder = decoderOf(path, 7);
    const { hiddenSize, queryHeads, kvHeads, headDim, rope } = decoder.config;
    const rows = 20;
    const residual = new Float32Array(rows * hiddenSize);
    decoder.embed(ids.subarray(0, rows), residual);
    const positions = Int32Array.from({ length: rows }, (_, row) => 3 * row);
    const table = createRopeTable(rope, headDim, 3 * rows);
    const [q, rawQ] = [0, 1].map(() => new Float32Array(rows * queryHeads * headDim));
    const [k, rawK, v] = [0, 1, 2].map(() => new Float32Array(rows * kvHeads * headDim));
    await decoder.attentionInputs({ layer: 1, residual, rows }, positions, table, { q, k, v, rawQ, rawK });
    expect(rawQ).not.toEqual(q);
    expect(rawQ.subarray(0, queryHeads * headDim)).toEqual(q.subarray(0, queryHeads * headDim));
    ops.rope(tokensFirst(rawQ, queryHeads, rows, headDim), positions, table.cos, table.sin);
    ops.rope(tokensFirst(rawK, kvHeads, rows, headDim), positions, table.cos, table.sin);
    expect(rawQ).toEqual(q);
    expect(rawK).toEqual(k);
  });

  it("embed refuses ids outside the vocabulary and says where", () => {
    const decoder = decoderOf(path);
    const embed = (...bad: number[]) => decoder.embed(Int32Array.of(...bad), new Float32Array(64 * bad.length));
    expect(() => embed(0, 320)).toThrow(
      expect.objectContaining({ code: "ERR_PROMPT", message: expect.stringMatching(/0\.\.319, got 320 at index 1/) }),
    );
    expect(() => embed(-1)).toThrow(/got -1 at index 0/);
  });

  it("mlp stops before the next chunk when cancelled", async () => {
    const decoder = decoderOf(path, 2);
    const cancel = new Int32Array(new SharedArrayBuffer(4)).fill(1);
    const residual = new Float32Array(4 * 64).fill(1);
    await expect(decoder.mlp({ layer: 0, residual, rows: 4, cancel })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_CANCELLED" }),
    );
    expect(residual.every((value) => value === 1)).toBe(true);
  });

  it.each([0, -1, 1.5, Number.NaN])("createDecoder refuses maxRows %d", (maxRows) => {
    expect(() => decoderOf(path, maxRows)).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
  });
});

describe("DenseSequence", () => {
  it("append token by token after a prompt gives the logits of the whole, windows included", async () => {
    const path = join(fixtures, "arch", "mistral-window");
    const decoder = decoderOf(path);
    const { hiddenSize, vocabSize } = decoder.config;
    const ids = golden(join(path, "golden.safetensors")).ids("input_ids");
    const whole = await denseForward(decoder, ids);
    const sequence = new DenseSequence(decoder, ids.length);
    await sequence.append(ids.subarray(0, 20));
    for (let i = 20; i < ids.length; i++) {
      const logits = new Float32Array(vocabSize);
      await decoder.logits((await sequence.append(ids.subarray(i, i + 1))).subarray(-hiddenSize), 1, logits);
      expectClose(logits, whole.slice(i * vocabSize, (i + 1) * vocabSize), archBound(logits));
    }
  });

  it("append refuses no tokens, more than fit, and several after the prompt", async () => {
    const decoder = decoderOf(join(fixtures, "arch", "qwen2"));
    const sequence = new DenseSequence(decoder, 4);
    const prompt = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_PROMPT", message: expect.stringMatching(message) });
    await expect(sequence.append(new Int32Array(0))).rejects.toThrow(prompt(/between 1 and 4/));
    await expect(sequence.append(new Int32Array(5))).rejects.toThrow(prompt(/between 1 and 4/));
    await sequence.append(new Int32Array(1));
    await expect(sequence.append(new Int32Array(2))).rejects.toThrow(prompt(/one at a time/));
  });
});

describe("argmax", () => {
  it("argmax of equal values is the lower index", () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1);
    expect(argmax(Float32Array.of(-Infinity))).toBe(0);
  });
});
