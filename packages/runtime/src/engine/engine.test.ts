import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { nativeKernels } from "@winnow/kernels-native";
import { createReference } from "@winnow/kernels-reference";
import {
  createDecoder,
  denseForward,
  greedyContinuation,
  loadSafetensors,
  loadWeights,
  openModelFolder,
  readModelConfig,
} from "@winnow/models";
import { createEngine, type Engine, type PipelineInput, receiptSchema } from "@winnow/runtime";
import { afterAll, describe, expect, test } from "vitest";
import {
  allTokens,
  answerBits,
  modelFolder,
  needleAnswer,
  needlePrompt,
  someIds,
  withEngine,
} from "../../test-support/engines.js";

const sparse: Partial<PipelineInput> = {
  prefill: { masker: "minference", options: { verticalSize: 16, slashSize: 16 } },
  decode: { kvPruner: "tidal-decode", options: { budget: 32, selectionLayers: [2, 5] } },
};

describe("Engine answers", () => {
  test.each(["f32", "bf16"] as const)("the needle prompt dense in %s contains the hidden number", async (precision) => {
    await withEngine({ precision }, async (engine) => {
      const generation = engine.generate(needlePrompt, { maxNewTokens: 12, stop: { strings: ["."] } });
      expect(await generation.text()).toContain(needleAnswer);
      expect(generation.finishReason).toBe("stop-string");
    });
  });

  test("f32: greedy tokens and log-probabilities are those of the reference kernels, within rounding", async () => {
    const folder = openModelFolder(modelFolder);
    const config = readModelConfig(folder);
    const ops = createReference();
    const decoder = createDecoder({ config, weights: loadWeights(folder, config, ops, { precision: "f32" }), ops });
    const fixture = fileURLToPath(new URL("../../../models/fixtures/model/short-64.safetensors", import.meta.url));
    const ids = loadSafetensors(fixture).tensors.get("ids")!.data as Int32Array;
    const expected = await greedyContinuation(decoder, ids, 8);
    const all = Int32Array.of(...ids, ...expected);
    const logits = await denseForward(decoder, all);
    await withEngine({ precision: "f32" }, async (engine) => {
      const tokens = await allTokens(engine.generate({ ids }, { maxNewTokens: 8, stop: { endOfSequence: false } }));
      expect(tokens.map(({ id }) => id)).toEqual([...expected]);
      for (const [step, token] of tokens.entries()) {
        const row = logits.subarray((ids.length + step - 1) * config.vocabSize, (ids.length + step) * config.vocabSize);
        const normaliser = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
        // Two float32 programs are up to 5e-5 apart in each logit of this model.
        expect(Math.abs(token.logProbability - (row[token.id] - normaliser))).toBeLessThan(1e-4);
      }
    });
  });

  const isas = nativeKernels.instructionSets?.() ?? [];
  const variants: [string, Partial<PipelineInput>][] = [
    ["2 threads", { threads: 2 }],
    ["2 workers", { workers: 2 }],
    ...isas.map((isa): [string, Partial<PipelineInput>] => [isa, { kernels: { isa: isa as "generic" } }]),
  ];
  const bits = (input: Partial<PipelineInput>) =>
    withEngine({ ...sparse, ...input }, async (engine) => {
      const options = { maxNewTokens: 6, stop: { endOfSequence: false } };
      return {
        dense: await answerBits(engine.generate({ ids: someIds(129) }, { ...options, dense: true })),
        sparse: await answerBits(engine.generate({ ids: someIds(129) }, options)),
      };
    });

  test("ids and log-probabilities, dense and sparse, are the same bits for all threads, workers and instruction sets", async () => {
    expect(isas).toContain("generic");
    const expected = await bits({});
    // Otherwise the comparison would say nothing about the plugins.
    expect(expected.sparse).not.toEqual(expected.dense);
    for (const [name, input] of variants) expect(await bits(input), name).toEqual(expected);
  });

  test.each([1, 2])("two sequences at once on %d worker(s) give what each gives alone", async (workers) => {
    await withEngine({ ...sparse, workers }, async (engine) => {
      const run = (n: number) =>
        answerBits(engine.generate({ ids: someIds(n) }, { maxNewTokens: 40, stop: { endOfSequence: false } }));
      const alone = [await run(300), await run(130)];
      expect(await Promise.all([run(300), run(130)])).toEqual(alone);
    });
  });

  test("two engines in one process do not disturb each other", async () => {
    await withEngine(sparse, (a) =>
      withEngine({ precision: "f32" }, async (b) => {
        const run = (engine: typeof a) => answerBits(engine.generate({ ids: someIds(200) }, { maxNewTokens: 5 }));
        const alone = [await run(a), await run(b)];
        expect(await Promise.all([run(a), run(b)])).toEqual(alone);
        expect(alone[0]).not.toEqual(alone[1]);
      }),
    );
  });
});

const engines = new Map<object, Promise<Engine>>();
const dense: Partial<PipelineInput> = {};

/** One engine per configuration for all of the tests below. */
async function use(input: Partial<PipelineInput>, work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = engines.get(input) ?? createEngine({ model: modelFolder, threads: 1, ...input });
  engines.set(input, engine);
  await work(await engine);
}

afterAll(async () => {
  for (const engine of engines.values()) await (await engine).close();
});

describe("Generation", () => {
  test("tokens arrive while the answer is still being made, and their texts are the answer", () =>
    use(dense, async (engine) => {
      const generation = engine.generate("Alice was beginning to", { maxNewTokens: 30 });
      let text = "";
      let early = 0;
      for await (const token of generation) {
        if (generation.finishReason === undefined) early++;
        text += token.text;
        expect(token.text.isWellFormed() && !token.text.includes("\uFFFD")).toBe(true);
      }
      expect(early).toBe(30);
      expect(generation.finishReason).toBe("length");
      expect(generation.receipt?.answer).toEqual({ tokens: 30, text, finish: "length" });
      expect(engine.receipt()).toBe(generation.receipt);
      expect(receiptSchema.parse(generation.receipt)).toEqual(generation.receipt);
    }));

  test("stop ids and the end of sequence end the answer without their text; stop strings end before them", () =>
    use(dense, async (engine) => {
      const prompt = "Alice was beginning to get very tired of";
      const free = await allTokens(engine.generate(prompt, { maxNewTokens: 8 }));
      const text = free.map((token) => token.text).join("");
      const at = free.findIndex(({ id }, index) => index > 1 && free.findIndex((other) => other.id === id) === index);
      const byId = engine.generate(prompt, { maxNewTokens: 8, stop: { ids: [free[at].id] } });
      expect(await byId.text()).toBe(
        free
          .slice(0, at)
          .map((token) => token.text)
          .join(""),
      );
      expect(byId.finishReason).toBe("stop-id");
      const stop = text.slice(4, 9);
      const byText = engine.generate(prompt, { maxNewTokens: 8, stop: { strings: [stop] } });
      expect(await byText.text()).toBe(text.slice(0, text.indexOf(stop)));
      expect(byText.finishReason).toBe("stop-string");
    }));

  test("logProbabilities: the n most likely tokens in order, the greedy one first, together no more than 1", () =>
    use(dense, async (engine) => {
      for (const { id, logProbability, top } of await allTokens(
        engine.generate("The", { maxNewTokens: 4, logProbabilities: 5 }),
      )) {
        expect(top).toHaveLength(5);
        expect(top[0]).toEqual({ id, logProbability });
        for (let i = 1; i < 5; i++) expect(top[i].logProbability).toBeLessThanOrEqual(top[i - 1].logProbability);
        const mass = top.reduce((sum, token) => sum + Math.exp(token.logProbability), 0);
        expect(mass).toBeLessThanOrEqual(1 + 1e-9);
      }
    }));

  test("sampling with the same seed gives the same answer, in one slice or many; another seed another one", () =>
    use(dense, async (engine) => {
      const run = (seed: number, concurrent = false) => {
        const sampling = { temperature: 1, seed };
        const one = () => answerBits(engine.generate("Once upon a time", { maxNewTokens: 60, sampling }));
        return concurrent ? Promise.all([one(), one()]).then(([first]) => first) : one();
      };
      const expected = await run(7);
      expect(await run(7, true)).toEqual(expected);
      expect(await run(8)).not.toEqual(expected);
    }));

  test("a generation is iterated once", () =>
    use(dense, async (engine) => {
      const generation = engine.generate("a", { maxNewTokens: 1 });
      await generation.text();
      await expect(generation.text()).rejects.toMatchObject({ code: "ERR_USAGE" });
    }));

  test("leaving the loop early stops the work; no receipt is made and the engine goes on", () =>
    use(dense, async (engine) => {
      const generation = engine.generate("Once", { maxNewTokens: 20_000, stop: { endOfSequence: false } });
      for await (const _ of generation) break;
      expect(generation.finishReason).toBeUndefined();
      expect(generation.receipt).toBeUndefined();
      // On the only worker: would wait for the rest of the other answer.
      expect(await allTokens(engine.generate("Twice", { maxNewTokens: 2 }))).toHaveLength(2);
    }));

  test("onProgress rises to 1; an error that it throws ends the run and is the one that the caller gets", () =>
    use(dense, async (engine) => {
      const shares: number[] = [];
      await engine
        .generate({ ids: someIds(200) }, { maxNewTokens: 1, onProgress: (share) => shares.push(share) })
        .text();
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(shares.at(-1)).toBe(1);
      const onProgress = () => {
        throw new RangeError("from the caller");
      };
      await expect(engine.generate({ ids: someIds(9) }, { onProgress }).text()).rejects.toThrow(
        new RangeError("from the caller"),
      );
      expect(await allTokens(engine.generate("Go on", { maxNewTokens: 2 }))).toHaveLength(2);
    }));
});

describe("Sequence", () => {
  test("prefill, then generate gives the answer of generate, with room reserved or not, and a whole receipt", () =>
    use(sparse, async (engine) => {
      const options = { maxNewTokens: 12, stop: { endOfSequence: false } };
      const expected = await answerBits(engine.generate({ ids: someIds(200) }, options));
      for (const reserve of [0, 5, 64]) {
        const sequence = await engine.prefill({ ids: someIds(200) }, { reserve });
        expect(sequence.length).toBe(200);
        const generation = sequence.generate(options);
        expect(await answerBits(generation)).toEqual(expected);
        const { timing } = receiptSchema.parse(generation.receipt);
        expect(timing.timeToFirstTokenMs).toBeGreaterThan(generation.receipt!.prefill.totalMs);
        expect(timing.totalMs).toBeGreaterThanOrEqual(timing.timeToFirstTokenMs);
      }
    }));

  test("a sequence is generated from once; a wrong option does not use it up", () =>
    use(dense, async (engine) => {
      const sequence = await engine.prefill("Once", { dense: true });
      expect(sequence.dense).toBe(true);
      expect(() => sequence.generate({ maxNewTokens: 0 })).toThrow(
        expect.objectContaining({ code: "ERR_GENERATION_OPTION" }),
      );
      await sequence.generate({ maxNewTokens: 1 }).text();
      expect(() => sequence.generate()).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
    }));

  test.each([-1, 1.5, Number.NaN])("prefill refuses to reserve %d tokens", (reserve) =>
    use(dense, async (engine) => {
      await expect(engine.prefill("a", { reserve })).rejects.toMatchObject({ code: "ERR_GENERATION_OPTION" });
    }),
  );
});

test("receipts name this version and the instruction set that ran", () =>
  use(dense, async (engine) => {
    const generation = engine.generate("a", { maxNewTokens: 1 });
    await generation.text();
    const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
    expect(generation.receipt?.versions.winnow).toBe(version);
    expect(generation.receipt?.isa.native).toBe(nativeKernels.instructionSets?.()[0]);
    expect(generation.receipt?.timing.timePerOutputTokenMs).toBeNull();
    expect(generation.receipt?.density.decodeRead).toBeNull();
  }));

test("createEngine refuses an instruction set that does not exist", async () => {
  const kernels = { isa: "sse2" as "generic" };
  await expect(createEngine({ model: modelFolder, kernels })).rejects.toMatchObject({ code: "ERR_OPTION_RANGE" });
});
