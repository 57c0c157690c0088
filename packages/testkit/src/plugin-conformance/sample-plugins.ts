import {
  bandMask,
  defineOptions,
  definePlugin,
  elementAt,
  finiteWeights,
  type KvPruner,
  kvHeadOf,
  statisticOf,
  type TokenLists,
} from "@winnow/core";

const source = { title: "A sample for tests" };
const options = defineOptions({});

/** Masker: the last 9 tokens. */
export const sampleWindow = definePlugin({
  id: "sample-window",
  kind: "masker",
  summary: "The last 9 tokens.",
  source,
  options,
  create: () => ({ plan: () => [bandMask({ sinkTokens: 0, recentTokens: 9 })] }),
});

/** Block scorer: the 3 key blocks of 16 whose mean is most like the mean query. */
export const sampleBlocks = definePlugin({
  id: "sample-blocks",
  kind: "block-scorer",
  summary: "Blocks by their means.",
  source,
  options,
  create: () => ({
    blockSize: 16,
    keepBlocks: 3,
    sinkBlocks: 1,
    recentBlocks: 1,
    score({ q, k, model, primitives }, head) {
      const blocks = Math.ceil(q.length / 16);
      const [pooledQ, pooledK] = [0, 0].map(() => new Float32Array(blocks * q.headDim));
      primitives.poolMean(q, head, 16, pooledQ);
      primitives.poolMean(k, kvHeadOf(head, model), 16, pooledK);
      const scores = new Float32Array(blocks * blocks);
      primitives.outerScores(pooledQ, pooledK, q.headDim, 1, scores);
      return scores;
    },
  }),
});

/** Evict scorer: half of the tokens, those with the longest keys. */
export const sampleEvict = definePlugin({
  id: "sample-evict",
  kind: "evict-scorer",
  summary: "Tokens with long keys.",
  source,
  options,
  create: () => ({
    sinkTokens: 1,
    recentTokens: 4,
    budget: (length) => Math.max(5, length >> 1),
    score: ({ k }) =>
      Float32Array.from({ length: k.heads * k.length }, (_, at) => {
        let squares = 0;
        for (let c = 0; c < k.headDim; c++) squares += elementAt(k, Math.floor(at / k.length), at % k.length, c) ** 2;
        return squares;
      }),
  }),
});

/** Element scorer: the 5 largest elements of K and the 9 largest of V, 8 tokens at a time. */
export const sampleElements = definePlugin({
  id: "sample-elements",
  kind: "element-scorer",
  summary: "Large elements.",
  source,
  options,
  create: () => ({
    recentTokens: 4,
    groupTokens: 8,
    kept: () => ({ k: 5, v: 9 }),
    score(context, part) {
      const x = context[part];
      return Float32Array.from({ length: x.heads * x.length * x.headDim }, (_, at) => {
        const [row, c] = [Math.floor(at / x.headDim), at % x.headDim];
        return Math.abs(elementAt(x, Math.floor(row / x.length), row % x.length, c));
      });
    },
  }),
});

/** What {@link sampleSelect} remembers: the lists of each layer. */
interface SelectState {
  readonly lists: (TokenLists | undefined)[];
}

/** KV pruner: every other step reads the 8 tokens that scored best in the step before. */
export const sampleSelect = definePlugin({
  id: "sample-select",
  kind: "kv-pruner",
  summary: "Tokens that scored well one step ago.",
  source,
  options,
  create: () => ({ ...selectPruner }) as KvPruner,
});

const selectPruner: KvPruner<SelectState> = {
  createState: () => ({ lists: [] }),
  select({ layer, step }, { lists }) {
    const known = lists[layer];
    return known && step % 2 === 1 ? { read: "lists", lists: known } : { read: "all", scores: true };
  },
  observe({ layer, length, q, primitives }, { lists }, scores) {
    const count = Math.min(8, length);
    lists[layer] = {
      indices: primitives.topKRows(scores, q.heads, length, count),
      offsets: Int32Array.from({ length: q.heads + 1 }, (_, head) => head * count),
    };
  },
};

/** Weight scorer: half of each row, by magnitude times input norm. */
export const sampleSmallest = definePlugin({
  id: "sample-smallest",
  kind: "weight-scorer",
  summary: "Weights times input norms.",
  source,
  options,
  create: () => ({
    statistics: ["norm"],
    pattern: { pattern: "row", sparsity: 0.5 },
    score(context) {
      const norm = statisticOf(context, "norm");
      return finiteWeights(context, context.weight).map((value, e) => Math.abs(value) * norm[e % norm.length]);
    },
  }),
});
