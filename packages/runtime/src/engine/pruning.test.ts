import { type PipelineInput, type Receipt, receiptSchema } from "@winnow/runtime";
import { describe, expect, test } from "vitest";
import { allTokens, someIds, withEngine, withFolder, writePlugin } from "../../test-support/engines.js";

// Of the shipped model.
const layers = 8;
const queryHeads = 6;
const kvHeads = 2;
const headDim = 64;

async function receiptOf(decode: PipelineInput["decode"], n: number, maxNewTokens: number): Promise<Receipt> {
  return withEngine({ decode: decode ?? {} }, async (engine) => {
    const generation = engine.generate({ ids: someIds(n) }, { maxNewTokens, stop: { endOfSequence: false } });
    expect(await allTokens(generation)).toHaveLength(maxNewTokens);
    return receiptSchema.parse(generation.receipt);
  });
}

/** Sum of `tokens(step)` over the forward steps of an answer. */
function overSteps(maxNewTokens: number, tokens: (step: number) => number): number {
  return Array.from({ length: maxNewTokens - 1 }, (_, step) => tokens(step)).reduce((sum, value) => sum + value, 0);
}

describe("snapkv in the engine", () => {
  test("leaves capacity tokens in each head of each layer, and the cache is that small", async () => {
    const [n, capacity, maxNewTokens] = [200, 50, 5];
    const receipt = await receiptOf(
      { kvPruner: "snapkv", options: { capacity, observationWindow: 16 } },
      n,
      maxNewTokens,
    );
    for (const layer of receipt.prefill.layers) expect(layer.tokensKept).toEqual([capacity, capacity]);
    expect(receipt.density.cacheKept).toBeCloseTo(capacity / n, 12);
    const bytes = layers * 2 * kvHeads * (capacity + maxNewTokens) * headDim * 2;
    expect(receipt.memory.cacheBytes).toBe(bytes);
    for (const layer of receipt.decode.layers)
      expect(layer.tokensCached).toBe(queryHeads * overSteps(maxNewTokens, (step) => capacity + step + 1));
  });

  test("with room for the whole prompt keeps all of it", async () => {
    const receipt = await receiptOf({ kvPruner: "snapkv", options: { capacity: 200, observationWindow: 16 } }, 200, 3);
    expect(receipt.density.cacheKept).toBe(1);
    expect(receipt.density.decodeRead).toBe(1);
  });
});

test("After an eviction new tokens stand at their true positions in the text", () =>
  withFolder(async (folder) => {
    // Keeps 3 tokens, then fails with the positions and lengths that it was told.
    const spy = `() => ({
      createState: () => ({ seen: [] }),
      afterPrefill: () => ({ indices: Int32Array.of(0, 5, 9, 1, 5), offsets: Int32Array.of(0, 3, 5) }),
      select({ layer, step, position, length }, state) {
        if (layer === 0) state.seen.push([step, position, length]);
        if (step === 3) throw new Error(JSON.stringify(state.seen));
        return { read: "all" };
      },
    })`;
    const plugins = [writePlugin(folder, "position-spy", "kv-pruner", spy)];
    await withEngine({ plugins, decode: { kvPruner: "position-spy" } }, async (engine) => {
      const run = allTokens(engine.generate({ ids: someIds(100) }, { stop: { endOfSequence: false } }));
      const seen = [0, 1, 2, 3].map((step) => [step, 100 + step, 4 + step]);
      await expect(run).rejects.toMatchObject({ message: expect.stringContaining(JSON.stringify(seen)) });
    });
  }));

describe("streaming-llm in the engine", () => {
  test.each(["cache", "original"])(
    "with positions %s reads sinks, window and the new token in every step",
    async (positions) => {
      const [sinkTokens, recentTokens, maxNewTokens] = [4, 28, 120];
      const options = { sinkTokens, recentTokens, positions };
      const receipt = await receiptOf({ kvPruner: "streaming-llm", options }, 100, maxNewTokens);
      const read = queryHeads * (maxNewTokens - 1) * (sinkTokens + recentTokens + 1);
      for (const layer of receipt.decode.layers) expect(layer).toMatchObject({ tokensRead: read, tokensCached: read });
      expect(receipt.density.cacheKept).toBeCloseTo(32 / 100, 12);
    },
  );
});

describe("tidal-decode in the engine", () => {
  test.each([[[2]], [[2, 5]], [[0, 6]]])(
    "with selection layers %j reads (F n + (L - F) k) tokens per head and step",
    async (selectionLayers) => {
      const [n, budget, maxNewTokens] = [150, 32, 20];
      const receipt = await receiptOf(
        { kvPruner: "tidal-decode", options: { budget, selectionLayers } },
        n,
        maxNewTokens,
      );
      const all = queryHeads * overSteps(maxNewTokens, (step) => n + step + 1);
      const selected = queryHeads * (maxNewTokens - 1) * budget;
      for (const { layer, tokensRead, tokensCached } of receipt.decode.layers) {
        const isDense = layer < selectionLayers[0] || selectionLayers.includes(layer);
        expect(tokensRead).toBe(isDense ? all : selected);
        expect(tokensCached).toBe(all);
      }
      const dense = selectionLayers[0] + selectionLayers.length;
      const total = receipt.decode.layers.reduce((sum, layer) => sum + layer.tokensRead, 0);
      expect(total).toBe(dense * all + (layers - dense) * selected);
      expect(receipt.density.cacheKept).toBe(1);
    },
  );

  test("reads everything while the cache is within the budget", async () => {
    const receipt = await receiptOf(
      { kvPruner: "tidal-decode", options: { budget: 64, selectionLayers: [2] } },
      40,
      10,
    );
    expect(receipt.density.decodeRead).toBe(1);
  });
});
