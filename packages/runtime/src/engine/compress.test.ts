import { type PipelineInput, type Receipt, receiptSchema, summarizeReceipt } from "@winnow/runtime";
import { describe, expect, test } from "vitest";
import { allTokens, answerBits, someIds, withEngine, withFolder, writePlugin } from "../../test-support/engines.js";
import { tinyPipeline, writeTinyModel } from "../../test-support/tiny-model.js";

const [recentTokens, groupTokens, keptK, keptV] = [5, 8, 3, 7];

/** Keeps the largest magnitudes. */
const scorer = `() => ({
  recentTokens: ${recentTokens}, groupTokens: ${groupTokens}, kept: () => ({ k: ${keptK}, v: ${keptV} }),
  score(context, part) {
    const x = context[part];
    return Float32Array.from({ length: x.heads * x.length * x.headDim }, (_, i) => Math.abs(elementAt(x,
      Math.floor(i / (x.length * x.headDim)), Math.floor(i / x.headDim) % x.length, i % x.headDim)));
  },
})`;

/** The same method in a cache that stays dense: zeros are written into its rows, one by one. Knows of groups by counting tokens. */
const zeroing = `() => {
  const zeroSmall = (x, head, token, kept) => {
    const place = x.offset + head * x.headStride + token * x.tokenStride;
    const sizes = Array.from({ length: x.headDim }, (_, c) => Math.abs(elementAt(x, head, token, c)));
    for (let c = 0; c < x.headDim; c++) {
      const better = sizes.filter((size, other) => size > sizes[c] || (size === sizes[c] && other < c)).length;
      if (better >= kept) x.data[place + c] = 0;
    }
  };
  return {
    createState: () => ({ done: {} }),
    compress({ layer, k, v }, state) {
      let done = state.done[layer] ?? 0;
      for (; k.length - done >= ${recentTokens + groupTokens}; done += ${groupTokens})
        for (let token = done; token < done + ${groupTokens}; token++)
          for (let head = 0; head < k.heads; head++) {
            zeroSmall(k, head, token, ${keptK});
            zeroSmall(v, head, token, ${keptV});
          }
      state.done[layer] = done;
    },
  };
}`;

const answer = { maxNewTokens: 40, stop: { endOfSequence: false } };

/** Ids and log-probabilities of answers to prompts of these lengths on a random model whose rows have 10 elements. */
async function tinyAnswers(lengths: readonly number[], precision: "f32" | "bf16", create: string) {
  return withFolder(async (folder) => {
    const model = writeTinyModel(folder, { config: { head_dim: 10, max_position_embeddings: 128 } });
    const kind = create === scorer ? "element-scorer" : "kv-pruner";
    const plugin = writePlugin(folder, "small-gone", kind, create);
    const decode = { kvPruner: "small-gone" };
    const pipeline = { ...tinyPipeline(model, { plugins: [plugin], decode }), precision };
    return withEngine(pipeline, async (engine) => {
      const answers = [];
      for (const n of lengths) answers.push(await answerBits(engine.generate({ ids: someIds(n) }, answer)));
      return answers;
    });
  });
}

describe("A compressing pruner in the engine", () => {
  // 12: nothing is compressed before the first step; 13: one group; 61: seven groups.
  test.each(["f32", "bf16"] as const)(
    "%s: gives the answers of a dense cache into which zeros are written, bit by bit",
    async (precision) => {
      const lengths = [1, 12, 13, 61];
      const answers = await tinyAnswers(lengths, precision, scorer);
      expect(answers).toEqual(await tinyAnswers(lengths, precision, zeroing));
      const untouched = await tinyAnswers(lengths, precision, "() => ({ createState: () => null })");
      for (const [index, answer] of answers.entries()) expect(answer).not.toEqual(untouched[index]);
    },
  );
});

/** Elements 0, 2, 4, ... of K and the first 20 of V, whatever they are; on the shipped model. */
const everySecond = `() => ({
  recentTokens: 32, groupTokens: 16, kept: (d) => ({ k: d / 2, v: 20 }),
  score: ({ k }, part) => Float32Array.from({ length: k.heads * k.length * k.headDim }, (_, i) => part === "k" ? (i + 1) % 2 : 0),
})`;

// Of the shipped model.
const [layers, queryHeads, kvHeads, headDim] = [8, 6, 2, 64];

function withPlugin<T>(
  decode: PipelineInput["decode"],
  use: (input: Partial<PipelineInput>) => Promise<T>,
): Promise<T> {
  return withFolder((folder) =>
    use({ plugins: [writePlugin(folder, "every-second", "element-scorer", everySecond)], decode }),
  );
}

async function receiptOf(input: Partial<PipelineInput>, n: number, maxNewTokens: number): Promise<Receipt> {
  return withEngine(input, async (engine) => {
    const generation = engine.generate({ ids: someIds(n) }, { maxNewTokens, stop: { endOfSequence: false } });
    expect(await allTokens(generation)).toHaveLength(maxNewTokens);
    return receiptSchema.parse(generation.receipt);
  });
}

/** Bytes of rows in bf16: bits and stored elements of K and V. */
const packedRow = 2 * (headDim / 8) + 2 * (32 + 20);
const denseRow = 2 * 2 * headDim;

describe("The receipt of a compressing pruner", () => {
  test("counts compressed tokens, elements and bytes, in the cache and in every step", () =>
    withPlugin({ kvPruner: "every-second" }, async (input) => {
      const [n, maxNewTokens] = [200, 30];
      // These kernels count what is read for each query head, whatever the size of a group.
      const kernels = { decodeAttention: "reference", packedAttention: "reference" };
      const receipt = await receiptOf({ ...input, kernels }, n, maxNewTokens);
      // 200 - 32 = 10 x 16 + 8; the window is 48 long again after steps 8 and 24.
      const [atPrompt, atEnd] = [160, 192];
      const promptBytes = kvHeads * (atPrompt * packedRow + (n - atPrompt + maxNewTokens) * denseRow);
      for (const layer of receipt.prefill.layers)
        expect(layer).toMatchObject({ tokensKept: [n, n], tokensCompressed: atPrompt, cacheBytes: promptBytes });
      expect(receipt.memory.cacheBytes).toBe(layers * promptBytes);
      let [tokens, elements, bytes] = [0, 0, 0];
      for (let step = 0; step < maxNewTokens - 1; step++) {
        const packed = step < 8 ? 160 : step < 24 ? 176 : 192;
        const rest = n + step + 1 - packed;
        tokens += queryHeads * (packed + rest);
        elements += queryHeads * (packed * (32 + 20) + rest * 2 * headDim);
        bytes += queryHeads * (packed * packedRow + rest * denseRow);
      }
      for (const layer of receipt.decode.layers) {
        const counted = { tokensRead: tokens, tokensCached: tokens, elementsRead: elements, bytesRead: bytes };
        expect(layer).toMatchObject({ ...counted, tokensCompressed: atEnd });
      }
      expect(receipt.density).toMatchObject({ cacheKept: 1, decodeRead: 1 });
      expect(receipt.density.decodeElementsRead).toBeCloseTo(elements / (tokens * 2 * headDim), 12);
      expect(summarizeReceipt(receipt)).toMatch(
        /decode read 100.0 % of the cached tokens and [5-6]\d\.\d % of their elements;/,
      );
    }));

  test("says of a pruner inside another one what it read and kept, compressed tokens included", () => {
    const options = { layers: [{ layers: 0, plugin: "every-second" }] };
    return withPlugin({ kvPruner: "per-layer-cache", options }, async (input) => {
      const { prefill, decode } = await receiptOf(input, 100, 3);
      expect(prefill.layers.map((layer) => layer.tokensCompressed)).toEqual([64, 0, 0, 0, 0, 0, 0, 0]);
      const asked = { kvPruner: "every-second", inner: [] };
      expect(prefill.layers[0].innerPruners).toEqual([{ ...asked, calls: 1, tokensRead: 0, tokensKept: 200 }]);
      const [tokensRead, tokensKept] = [queryHeads * (101 + 102), kvHeads * (101 + 102)];
      expect(decode.layers[0].innerPruners).toEqual([{ ...asked, calls: 2, tokensRead, tokensKept }]);
      expect(decode.layers[1].innerPruners).toBeUndefined();
    });
  });
});

describe("Sequences with compressed tokens", () => {
  test.each([1, 2])("at once on %i worker(s) give what each gives alone, in one slice or many", (workers) =>
    withPlugin({ kvPruner: "every-second" }, (input) =>
      withEngine({ ...input, workers }, async (engine) => {
        const run = (n: number) => answerBits(engine.generate({ ids: someIds(n) }, { ...answer, maxNewTokens: 60 }));
        const alone = [await run(70), await run(150)];
        expect(await Promise.all([run(70), run(150), run(70)])).toEqual([alone[0], alone[1], alone[0]]);
      }),
    ),
  );

  test("a dense run of the same engine reads the whole cache", () =>
    withPlugin({ kvPruner: "every-second" }, (input) =>
      withEngine(input, async (engine) => {
        const generation = engine.generate({ ids: someIds(100) }, { ...answer, maxNewTokens: 4, dense: true });
        const bits = await answerBits(generation);
        expect(generation.receipt?.density.decodeElementsRead).toBe(1);
        await withEngine({}, async (dense) => {
          const generated = dense.generate({ ids: someIds(100) }, { ...answer, maxNewTokens: 4 });
          expect(await answerBits(generated)).toEqual(bits);
        });
      }),
    ));

  test("tokens that were evicted at the end of the prompt are not compressed", () =>
    withFolder((folder) => {
      const create = `() => ({
        createState: () => null,
        afterPrefill: ({ k }) => ({
          indices: Int32Array.from({ length: 40 * k.heads }, (_, i) => i % 40),
          offsets: Int32Array.from({ length: k.heads + 1 }, (_, head) => 40 * head),
        }),
        compress: ({ k, compressed }) => {
          if (compressed) return undefined;
          const elements = { kept: 1, indices: new Uint16Array(30 * k.heads) };
          return { count: 30, k: elements, v: elements };
        },
      })`;
      const plugins = [writePlugin(folder, "both", "kv-pruner", create)];
      return receiptOf({ plugins, decode: { kvPruner: "both" } }, 90, 2).then(({ prefill, decode }) => {
        expect(prefill.layers[3]).toMatchObject({ tokensKept: [40, 40], tokensCompressed: 30 });
        expect(decode.layers[3]).toMatchObject({ tokensRead: queryHeads * 41, tokensCompressed: 30 });
      });
    }));
});
