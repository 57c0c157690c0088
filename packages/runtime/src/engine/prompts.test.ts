import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createEngine, type Engine, type PipelineInput, type Prompt } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTokens, modelFolder, someIds, withEngine, withFolder } from "../../test-support/engines.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ model: modelFolder, threads: 1 });
});
afterAll(() => engine.close());

const run = async (prompt: Prompt) => {
  const generation = engine.generate(prompt, { maxNewTokens: 2, stop: { endOfSequence: false } });
  expect(await allTokens(generation)).toHaveLength(2);
  return generation.receipt!.prompt.tokens;
};

describe("A prompt", () => {
  test("of empty text is the token that the tokenizer puts first", async () => {
    expect([...(await engine.encode(""))]).toEqual([0]);
    expect(await run("")).toBe(1);
  });

  test("of one id works", async () => {
    expect(await run({ ids: [5] })).toBe(1);
  });

  test("from a file is its text, without a byte order mark; an empty file is empty text", () =>
    withFolder(async (folder) => {
      const file = join(folder, "prompt.txt");
      writeFileSync(file, "\uFEFFna\u00efve caf\u00e9");
      expect(await run({ file })).toBe((await engine.encode("na\u00efve caf\u00e9")).length);
      writeFileSync(file, "");
      expect(await run({ file })).toBe(1);
    }));

  test("from a file that is missing, a folder or not UTF-8 is refused with its name", () =>
    withFolder(async (folder) => {
      const binary = join(folder, "prompt.bin");
      writeFileSync(binary, Uint8Array.of(0x61, 0xff, 0x62));
      const refused: [string, RegExp][] = [
        [join(folder, "missing.txt"), /no such file.*Give a UTF-8 text file/],
        [folder, /directory.*Give a UTF-8 text file/],
        [binary, /not UTF-8 text/],
      ];
      for (const [file, message] of refused) {
        const error = { code: "ERR_PROMPT", message: expect.stringMatching(message) };
        await expect(run({ file })).rejects.toMatchObject(error);
        await expect(run({ file })).rejects.toMatchObject({ message: expect.stringContaining(file) });
      }
    }));

  const refused: [string, unknown, RegExp][] = [
    ["no ids", { ids: [] }, /prompt is empty/],
    ["an id below 0", { ids: [1, -1] }, /token 1 must be a whole number in 0\.\.8191, got -1/],
    ["an id beyond the vocabulary", { ids: [8192] }, /token 0 .* got 8192/],
    ["an id that only wraps into the vocabulary", { ids: [2 ** 32 + 5] }, /got 4294967301/],
    ["a fraction", { ids: [1.5] }, /got 1\.5/],
    ["NaN", { ids: [Number.NaN] }, /got NaN/],
    ["a text as id", { ids: ["1"] }, /got "1"/],
    ["ids that are no array", { ids: 5 }, /array of numbers, got 5/],
    ["more ids than the context", { ids: new Int32Array(32_769) }, /32769 tokens, the model's context holds 32768/],
    ["neither text, ids nor file", {}, /text, \{ ids \} or \{ file \}, got \{\}/],
    ["nothing", undefined, /got undefined/],
    ["null", null, /got null/],
    ["a number", 5, /got 5/],
  ];
  test.each(refused)("of %s is refused with ERR_PROMPT", async (_, prompt, message) => {
    const error = { code: "ERR_PROMPT", message: expect.stringMatching(message) };
    await expect(run(prompt as Prompt)).rejects.toMatchObject(error);
    await expect(engine.prefill(prompt as Prompt)).rejects.toMatchObject(error);
  });

  test("encode refuses what is no text", async () => {
    await expect(engine.encode(5 as never)).rejects.toMatchObject({ code: "ERR_PROMPT" });
  });
});

test.each([{ maxNewTokens: 0 }, { sampling: { temperature: -1 } }, { sampling: { topP: 2 } }, { unknown: 1 }])(
  "generate refuses %j at the call, before anything runs",
  (options) => {
    expect(() => engine.generate("a", options as never)).toThrow(
      expect.objectContaining({ code: "ERR_GENERATION_OPTION" }),
    );
  },
);

describe("The context", () => {
  /** The shipped model with a context of 64 tokens. */
  const withShortContext = (use: (engine: Engine) => Promise<void>) =>
    withFolder(async (folder) => {
      const model = join(folder, "model");
      mkdirSync(model);
      for (const name of ["generation_config.json", "tokenizer.json", "tokenizer_config.json"])
        copyFileSync(join(modelFolder, name), join(model, name));
      symlinkSync(join(modelFolder, "model.safetensors"), join(model, "model.safetensors"));
      const config = JSON.parse(readFileSync(join(modelFolder, "config.json"), "utf8"));
      writeFileSync(join(model, "config.json"), JSON.stringify({ ...config, max_position_embeddings: 64 }));
      await withEngine({ model }, use);
    });

  test.each([
    [64, 1],
    [63, 2],
    [60, 5],
  ])("of 64 holds a prompt of %d; the answer ends after %d tokens", (promptTokens, answerTokens) =>
    withShortContext(async (short) => {
      const options = { maxNewTokens: 100, stop: { endOfSequence: false } };
      const generation = short.generate({ ids: someIds(promptTokens) }, options);
      expect(await allTokens(generation)).toHaveLength(answerTokens);
      expect(generation.finishReason).toBe("context-full");
      const sequence = await short.prefill({ ids: someIds(promptTokens) });
      expect(await allTokens(sequence.generate(options))).toHaveLength(answerTokens);
    }),
  );

  test("of 64 refuses a prompt of 65", () =>
    withShortContext(async (short) => {
      await expect(short.prefill({ ids: someIds(65) })).rejects.toMatchObject({ code: "ERR_PROMPT" });
      await expect(short.prefill("word ".repeat(100))).rejects.toMatchObject({ code: "ERR_PROMPT" });
    }));
});

const plugins: [string, Partial<PipelineInput>][] = [
  ["a-shape", { prefill: { masker: "a-shape", options: { sinkTokens: 4, recentTokens: 16 } } }],
  ["hello-masker", { prefill: { masker: "hello-masker", options: { recentTokens: 8 } } }],
  ["minference", { prefill: { masker: "minference", options: { verticalSize: 30, slashSize: 30 } } }],
  [
    "tri-shape",
    { prefill: { masker: "tri-shape", options: { sinkTokens: 4, recentTokens: 16, denseLastTokens: 10 } } },
  ],
  ["snapkv", { decode: { kvPruner: "snapkv", options: { capacity: 40, observationWindow: 16 } } }],
  ["streaming-llm", { decode: { kvPruner: "streaming-llm", options: { sinkTokens: 4, recentTokens: 30 } } }],
  ["tidal-decode", { decode: { kvPruner: "tidal-decode", options: { budget: 32, selectionLayers: [2] } } }],
];

test.each(plugins)(
  "%s serves prompts of 1, 2, 63, 64, 65 and 200 tokens, with small options and its defaults",
  async (name, small) => {
    const defaults: Partial<PipelineInput> = small.prefill
      ? { prefill: { masker: name } }
      : { decode: { kvPruner: name } };
    for (const pipeline of [small, defaults]) {
      await withEngine(pipeline, async (sparse) => {
        for (const n of [1, 2, 63, 64, 65, 200]) {
          const generation = sparse.generate({ ids: someIds(n) }, { maxNewTokens: 3, stop: { endOfSequence: false } });
          for (const { logProbability } of await allTokens(generation)) expect(logProbability).toBeLessThanOrEqual(0);
          expect(generation.receipt?.answer.tokens).toBe(3);
        }
      });
    }
  },
);
