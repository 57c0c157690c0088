import {
  createEngine,
  type Engine,
  type PipelineInput,
  type Receipt,
  receiptSchema,
  summarizeReceipt,
} from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  allTokens,
  answerBits,
  modelFolder,
  someIds,
  withEngine,
  withFolder,
  writePlugin,
} from "../../test-support/engines.js";
import type { InnerMaskStats } from "../receipt/stats.js";

const prompt = { ids: someIds(150) };
const options = { maxNewTokens: 5, stop: { endOfSequence: false } };
/** One less than the tokens of the answer. */
const steps = 4;
const [layers, queryHeads, kvHeads] = [8, 6, 2];

const shape = { plugin: "a-shape", options: { sinkTokens: 2, recentTokens: 20 } };
const keepAlways = { plugin: "keep-always", options: { inner: shape, sinkTokens: 4, recentTokens: 8 } };
const nested: Partial<PipelineInput> = {
  prefill: {
    masker: "dense-below",
    options: {
      tokens: 100,
      inner: {
        plugin: "union-masks",
        options: { of: [keepAlways, { plugin: "hello-masker", options: { recentTokens: 30 } }] },
      },
    },
  },
  decode: {
    kvPruner: "per-layer-cache",
    options: {
      layers: [{ layers: "0-1", plugin: "snapkv", options: { capacity: 40, observationWindow: 8 } }],
      otherwise: {
        plugin: "dense-cache-below",
        options: { tokens: 152, inner: { plugin: "tidal-decode", options: { budget: 16, selectionLayers: [2, 5] } } },
      },
    },
  },
};

describe("An engine with plugins inside plugins", () => {
  let engine: Engine;
  let receipt: Receipt;
  beforeAll(async () => {
    engine = await createEngine({ model: modelFolder, threads: 1, ...nested });
    const generation = engine.generate(prompt, options);
    expect(await allTokens(generation)).toHaveLength(5);
    receipt = generation.receipt!;
  });
  afterAll(() => engine.close());

  test("the receipt fits its schema and lists the masks of inner maskers, nested like the options", () => {
    expect(receiptSchema.safeParse(receipt).success).toBe(true);
    for (const { groups } of receipt.prefill.layers) {
      const [{ masker, inner }] = groups;
      const [union] = inner as unknown as readonly InnerMaskStats[];
      expect([masker, union.masker, union.inner.map((part) => part.masker)]).toEqual([
        "dense-below",
        "union-masks",
        ["keep-always", "hello-masker"],
      ]);
      const [{ density, inner: deepest }] = union.inner;
      expect(deepest.map((part) => part.masker)).toEqual(["a-shape"]);
      // keep-always adds two sinks to the shape.
      expect(density[0]).toBeGreaterThan(deepest[0].density[0]);
      expect(union.density[0]).toBeGreaterThan(density[0]);
    }
  });

  test("the receipt counts what an inner pruner left at the end of the prompt", () => {
    for (const { layer, innerPruners } of receipt.prefill.layers) {
      const snapkv = { kvPruner: "snapkv", calls: 1, tokensRead: 0, tokensKept: 40 * kvHeads, inner: [] };
      expect(innerPruners).toEqual(layer < 2 ? [snapkv] : undefined);
    }
  });

  test("the receipt counts what inner pruners read and kept, whatever the outer ones made of it", () => {
    // The cache holds 151 tokens in the first step, 154 in the fourth.
    const cached = 151 + 152 + 153 + 154;
    for (const { layer, innerPruners, tokensRead } of receipt.decode.layers) {
      if (layer < 2) {
        expect(innerPruners).toBeUndefined();
        continue;
      }
      const [{ inner, ...outer }] = innerPruners!;
      const readsLists = layer !== 2 && layer !== 5;
      expect(inner).toEqual([
        {
          kvPruner: "tidal-decode",
          calls: steps,
          tokensRead: queryHeads * (readsLists ? 16 * steps : cached),
          tokensKept: kvHeads * cached,
          inner: [],
        },
      ]);
      expect(outer).toEqual({
        kvPruner: "dense-cache-below",
        calls: steps,
        // Below 152 tokens, in the first step, it reads everything.
        tokensRead: queryHeads * (readsLists ? 151 + 3 * 16 : cached),
        tokensKept: kvHeads * cached,
      });
      expect(tokensRead).toBe(outer.tokensRead);
    }
  });

  test("the summary of the receipt shows the nesting", () => {
    const names =
      "dense-below(union-masks(keep-always(a-shape), hello-masker)) + per-layer-cache(snapkv, dense-cache-below(tidal-decode))";
    expect(summarizeReceipt(receipt).split("\n")[0]).toContain(names);
  });

  test("interleaved sequences get the answers that each gets alone", async () => {
    const prompts = [prompt, { ids: someIds(90) }, { ids: someIds(170) }];
    const alone = [];
    for (const one of prompts) alone.push(await answerBits(engine.generate(one, options)));
    const together = await Promise.all(prompts.map((one) => answerBits(engine.generate(one, options))));
    expect(together).toEqual(alone);
  });
});

describe("Wrappers that change nothing", () => {
  const bits = (input: Partial<PipelineInput>) =>
    withEngine(input, (engine) => answerBits(engine.generate(prompt, options)));

  test("per-layer and per-layer-cache with one plugin for all layers answer like that plugin", async () => {
    const pruner = { plugin: "tidal-decode", options: { budget: 16, selectionLayers: [2, 5] } };
    const wrapped = await bits({
      prefill: { masker: "per-layer", options: { layers: [{ layers: `0-${layers - 1}`, ...shape }] } },
      decode: { kvPruner: "per-layer-cache", options: { layers: [{ layers: `0-${layers - 1}`, ...pruner }] } },
    });
    const plain = await bits({
      prefill: { masker: shape.plugin, options: shape.options },
      decode: { kvPruner: pruner.plugin, options: pruner.options },
    });
    expect(wrapped).toEqual(plain);
  });
});

describe("A mistake of an inner plugin is one error with its own name:", () => {
  const cases: [kind: "masker" | "kv-pruner", create: string, message: RegExp][] = [
    ["masker", "() => ({ plan() { throw new Error('boom'); } })", /"bad" failed in plan: boom/],
    ["masker", "() => ({ plan: () => [] })", /plan must return 1 or 6 masks, got 0/],
    [
      "kv-pruner",
      "() => ({ createState: () => null, select() { throw new Error('boom'); } })",
      /"bad" failed in select: boom/,
    ],
    [
      "kv-pruner",
      "() => ({ createState: () => null, select: () => undefined })",
      /"bad" returned a read plan that does not fit/,
    ],
    [
      "kv-pruner",
      "() => ({ createState: () => null, afterAttention: () => ({ indices: Int32Array.of(0, 999), offsets: Int32Array.of(0, 1, 2) }) })",
      /"bad" returned kept tokens that do not fit the cache/,
    ],
  ];
  test.each(cases)("%s: %s", async (kind, create, message) => {
    await withFolder(async (folder) => {
      const plugin = writePlugin(folder, "bad", kind, create);
      const inner = [{ layers: "0-7", plugin: "bad" }];
      const pipeline: Partial<PipelineInput> =
        kind === "masker"
          ? { prefill: { masker: "per-layer", options: { layers: inner } } }
          : { decode: { kvPruner: "per-layer-cache", options: { layers: inner } } };
      await withEngine({ plugins: [plugin], ...pipeline }, async (engine) => {
        await expect(allTokens(engine.generate(prompt, options))).rejects.toMatchObject({
          plugin: "bad",
          message: expect.stringMatching(message),
        });
      });
    });
  });

  test("dense-cache-below with a pruner that only drops tokens is refused", async () => {
    const decode = { kvPruner: "dense-cache-below", options: { tokens: 64, inner: { plugin: "snapkv" } } };
    const run = () => withEngine({ decode }, (engine) => allTokens(engine.generate(prompt, options)));
    await expect(run()).rejects.toMatchObject({ code: "ERR_PLAN_CONFLICT", plugin: "dense-cache-below" });
  });
});
