import {
  type CompressContext,
  type CompressedTokens,
  type DecodeContext,
  elementAt,
  type KeptTokens,
  kvHeadOf,
  type Operations,
  type PrefillEndContext,
  type ReadPlan,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { conformanceChecks } from "./checks.js";
import { sampleElements, sampleEvict, sampleSelect, sampleWindow } from "./sample-plugins.js";
import { type AnyPlugin, changed, describeMutants, describeSound, type Mutant } from "./testing/mutants.js";

const common = conformanceChecks(sampleWindow)
  .map(({ id }) => id)
  .slice(0, 7);

/** The same list for each head. */
function lists(heads: number, list: readonly number[]): KeptTokens {
  return {
    indices: Int32Array.from({ length: heads * list.length }, (_, at) => list[at % list.length]),
    offsets: Int32Array.from({ length: heads + 1 }, (_, head) => head * list.length),
  };
}

const without = (...hooks: string[]) => Object.fromEntries(hooks.map((hook) => [hook, undefined]));

/** A pruner that only reads, by `select`. */
const reads = (select: (context: DecodeContext, state: never) => ReadPlan | readonly number[]) =>
  changed(sampleSelect, () => ({
    observe: undefined,
    select(context: DecodeContext, state: never): ReadPlan {
      const plan = select(context, state);
      return "read" in plan ? plan : { read: "lists", lists: lists(context.q.heads, plan) };
    },
  }));

/** A pruner that only evicts, at the end of the prompt. */
const keepsOfPrompt = (afterPrefill: (context: PrefillEndContext) => KeptTokens) =>
  changed(sampleSelect, () => ({ ...without("select", "observe"), observationQueries: 8, afterPrefill }));

/** Keeps the first so many tokens, by a number taken from the inputs. */
const byNumber = (numberOf: (context: PrefillEndContext) => number) =>
  keepsOfPrompt((context) => {
    const count = 1 + (Math.floor(Math.abs(1e4 * numberOf(context))) % Math.min(context.k.length, 50));
    return lists(
      context.k.heads,
      Array.from({ length: count }, (_, at) => at),
    );
  });

const evicts = (change: (made: ReturnType<typeof sampleEvict.create>) => object): AnyPlugin =>
  changed(sampleEvict, change);

/** The first `kept` elements of each row of the first `count` tokens. */
function firstElements({ k }: CompressContext, count: number, kept: number): CompressedTokens {
  const indices = Uint16Array.from({ length: k.heads * count * kept }, (_, at) => at % kept);
  return { count, k: { kept, indices }, v: { kept, indices } };
}

/** A pruner that compresses and has these hooks, too. */
const compresses = (compress: (context: CompressContext) => unknown, hooks: object = {}) =>
  changed(sampleSelect, () => ({ ...without("select", "observe"), compress, ...hooks }));

/** Compresses 10 tokens at the end of the prompt. */
const once = (context: CompressContext) => (context.step === undefined ? firstElements(context, 10, 3) : undefined);

const range = (end: number) => Array.from({ length: end }, (_, at) => at);

/** Scores changed for the worse. */
const scores = (change: (all: Float32Array, context: PrefillEndContext) => Float32Array) =>
  evicts(({ score }) => ({ score: (context: PrefillEndContext) => change(score(context), context) }));

const mutants: Mutant[] = [
  ["hooks", "has no hook", changed(sampleSelect, () => without("select", "observe")), /one of the hooks .*; got none/],
  [
    "hooks",
    "wants half a query",
    changed(sampleSelect, () => ({ observationQueries: 0.5 })),
    /observationQueries .*; got 0.5/,
  ],
  [
    "lists-valid",
    "reads in descending order",
    reads(() => [3, 1]),
    /select of layer 0 in step 0 .* ascending .*; got 1 after 3/,
  ],
  ["lists-valid", "reads a token that is not there", reads(({ length }) => [length]), /ascending tokens of 0..120/],
  [
    "lists-valid",
    "reads nothing in layer 2",
    reads(({ layer }) => (layer === 2 ? [] : [0])),
    /layer 2 .* at least one token .*; got none/,
  ],
  [
    "lists-valid",
    "asks for scores that it does not observe",
    changed(sampleSelect, () => ({ observe: undefined })),
    /a method observe, for select asked for scores; got none/,
  ],
  [
    "lists-valid",
    "leaves a part of the cache out",
    reads(({ length, position }) => ({
      read: "parts",
      parts: [{ start: 0, end: length - 1, queryPosition: position }],
    })),
    /parts that cover \[0, 121\); got parts up to 120/,
  ],
  [
    "lists-valid",
    "keeps a token twice",
    keepsOfPrompt(({ k }) => lists(k.heads, [0, 5, 5])),
    /afterPrefill of layer 0 to keep ascending tokens .*; got 5 after 5/,
  ],
  [
    "compressed-valid",
    "leaves no token uncompressed",
    compresses((context) => firstElements(context, context.k.length, 3)),
    /compress of layer 0 to compress 1..119 tokens, or to return undefined; got 120/,
  ],
  [
    "compressed-valid",
    "keeps another number of elements in later steps",
    compresses((context) => firstElements(context, 10, context.step ? 4 : 3)),
    /in step 1 to keep 3 elements of each row of k, as before; got 4/,
  ],
  [
    "compressed-valid",
    "keeps an element twice",
    compresses((context) => {
      const { count, k } = firstElements(context, 10, 3);
      return { count, k, v: { kept: 3, indices: k.indices.map((element) => element >> 1) } };
    }),
    /ascending elements of 0..15 of each row of v; got 0 after 0 in row 0/,
  ],
  [
    "compressed-valid",
    "forgets the elements of V",
    compresses((context) => ({ ...firstElements(context, 10, 3), v: undefined })),
    /1..16 elements of each row of v; got undefined/,
  ],
  [
    "compressed-valid",
    "counts one KV head only",
    compresses((context) => {
      const { count, k } = firstElements(context, 10, 3);
      return { count, k: { kept: 3, indices: k.indices.subarray(30) }, v: k };
    }),
    /a Uint16Array of 2 x 10 x 3 elements of k; got 30/,
  ],
  [
    "compressed-valid",
    "reads lists of a layer that it has compressed",
    compresses(once, { select: ({ q }: DecodeContext) => ({ read: "lists", lists: lists(q.heads, [0]) }) }),
    /select of layer 0 in step 0 to read all, without scores, where tokens are compressed; got lists/,
  ],
  [
    "compressed-valid",
    "evicts from a layer that it has compressed",
    compresses(once, { afterAttention: ({ k }: DecodeContext) => lists(k.heads, [0]) }),
    /afterAttention of layer 0 in step 0 to keep all where tokens are compressed; got kept tokens/,
  ],
  [
    "compressed-valid",
    "compresses heads with different numbers of tokens",
    compresses(once, {
      afterPrefill: () => ({ indices: Int32Array.of(0, 1, 2, 0, 1), offsets: Int32Array.of(0, 3, 5) }),
    }),
    /only where all KV heads hold the same number of tokens; got \[3,2\]/,
  ],
  [
    "inputs-unchanged",
    "writes zeros into the values instead of returning what stays",
    compresses(({ v }) => {
      v.data[v.offset] = 77;
      return undefined;
    }),
    /compress of layer 0 to leave v as it is/,
  ],
  [
    "budget",
    "reads more than it promises",
    reads(({ length }) => range(Math.min(length, 9))),
    /within 8 of 121 tokens; got 9 in head 0/,
    { budget: () => 8 },
  ],
  [
    "ragged-heads",
    "reads of each head as if it had kept as much as the longest",
    changed(sampleSelect, () => ({
      observe: undefined,
      afterPrefill: () => ({ indices: Int32Array.of(0, 1, 2, 0), offsets: Int32Array.of(0, 3, 4) }),
      select: ({ q, length }: DecodeContext) => ({ read: "lists", lists: lists(q.heads, [0, length - 1]) }),
    })),
    /ascending tokens of 0..1 of query head 2; got 3 after 0/,
  ],
  ["growth", "needs 8 tokens", reads(() => range(8)), /select of layer 0 in step 0 .* of query head 0; got 2 after 1/],
  [
    "short-prompt",
    "keeps 8 tokens of any prompt",
    keepsOfPrompt(({ k }) => lists(k.heads, range(8))),
    /tokens of 0..6 of KV head 0; got 7 after 6/,
  ],
  [
    "grouped-heads",
    "counts on two query heads per KV head",
    reads(({ k }) => ({ read: "lists", lists: lists(2 * k.heads, [0]) })),
    /lists with 7 offsets from 0 to 4/,
  ],
  [
    "equal-scores",
    "divides by the range of its scores",
    scores((all) => all.map((score) => (score - all[0]) / (Math.max(...all) - Math.min(...all)))),
    /afterPrefill of layer 0 to work; got the error ".*NaN/,
  ],
  [
    "huge-values",
    "lets powers overflow",
    scores((all) => all.map((score) => score ** 40 - score ** 40)),
    /afterPrefill of layer 0 to work; got the error ".*NaN/,
  ],
  [
    "tiny-values",
    "divides by the square of a key",
    scores((all) => all.map((score) => 1 / score - 1 / score)),
    /to work; got the error/,
  ],
  [
    "bf16-cache",
    "takes the cache for float32 memory",
    keepsOfPrompt(({ k }) => lists(k.heads, [new Float32Array(k.data.buffer).length < k.data.length ? -1 : 0])),
    /afterPrefill of layer 0 to keep ascending tokens/,
  ],
  [
    "state-cloneable",
    "keeps a function in its state",
    changed(sampleSelect, () => ({ createState: () => ({ lists: [], log: () => {} }) })),
    /a state that structuredClone copies; got the error/,
  ],
  [
    "state-cloneable",
    "keeps what it knows in a weak map beside its state",
    changed(sampleSelect, () => {
      const known = new WeakMap<object, number>();
      return {
        observe: undefined,
        select(_: DecodeContext, state: object): ReadPlan {
          known.set(state, (known.get(state) ?? 0) + 1);
          return { read: "lists", lists: lists(4, range(Math.min(50, known.get(state)!))) };
        },
      };
    }),
    /the same decisions when the state goes through structuredClone; got another choice in select/,
  ],
  ["nan-refused", "takes NaN for zero", byNumber(({ k }) => elementAt(k, 0, 3, 0) || 0), /an error for NaN in q and k/],
  [
    "inputs-unchanged",
    "writes into the cache",
    keepsOfPrompt(({ k }) => {
      k.data[k.offset]++;
      return lists(k.heads, [0]);
    }),
    /afterPrefill of layer 0 to leave k as it is/,
  ],
  [
    "strides",
    "takes keys for contiguous memory",
    byNumber(({ k }) => k.data[k.headDim]),
    /\[n, h, d\] behind an offset; got another choice in afterPrefill of layer 0/,
  ],
  [
    "repeats",
    "counts its sequences",
    changed(sampleSelect, () => {
      let sequences = 0;
      return {
        ...without("select", "observe"),
        createState: () => ++sequences,
        afterPrefill: ({ k }: PrefillEndContext, state: number) => lists(k.heads, [state]),
      };
    }),
    /the same decisions when the sequence runs a second time/,
  ],
  [
    "separate-sequences",
    "keeps its state in the object",
    changed(sampleSelect, () => {
      let last = 0;
      return {
        observe: undefined,
        select({ q, position }: DecodeContext): ReadPlan {
          const list = [Math.min(last, position)];
          last = position;
          return { read: "lists", lists: lists(q.heads, list) };
        },
      };
    }),
    /two interleaved sequences to go as they go apart; got another choice in select of layer 0/,
  ],
  [
    "kernels-agree",
    "looks at the number of threads",
    keepsOfPrompt(({ k, primitives }) => lists(k.heads, [(primitives as unknown as { threads: number }).threads])),
    /the same decisions with 2 threads as with 1 threads; got another choice in afterPrefill of layer 0/,
    {
      kernels: async () =>
        [1, 2].map((threads) => {
          const operations = { ...createReference(), threads } as Operations;
          return { name: `${threads} threads`, family: "threaded", operations };
        }),
    },
  ],
  [
    "kernels-agree",
    "ranks by the last bits of sums",
    byNumber(({ q, k, model, primitives }) => {
      const out = new Float32Array(q.length * k.length);
      primitives.scores({ q, k, head: 1, kvHead: kvHeadOf(1, model), scale: 1 }, out);
      return new Uint32Array(out.buffer).reduce((sum, word) => sum + (word & 3), 0) / 1e4;
    }),
    /the same decisions, but for near ties/,
  ],
];

describeSound(sampleSelect);
describeMutants("checks of KV pruners", sampleSelect, mutants, common);

describeSound(sampleEvict);
describeMutants(
  "checks of evict scorers",
  sampleEvict,
  [
    ["token-scores", "keeps nothing", evicts(() => ({ budget: () => 0 })), /a budget of at least 1 of 1 tokens; got 0/],
    ["token-scores", "forces half a token", evicts(() => ({ sinkTokens: 0.5 })), /sinkTokens to be a whole number/],
    ["token-scores", "scores one head only", scores((all) => all.subarray(all.length / 2)), /2 x 7 scores; got 7/],
    [
      "token-scores",
      "scores NaN",
      scores((all) => all.fill(Number.NaN, 3, 4)),
      /finite or -Infinity; got NaN for token 3/,
    ],
    [
      "exact-budget",
      "changes its mind about the budget",
      evicts(() => {
        let calls = 0;
        return { budget: (length: number) => Math.max(1, (length >> 1) - (calls++ % 2)) };
      }),
      /to keep \d of 7 tokens; got \d,\d/,
    ],
    [
      "oracle",
      "keeps other tokens than its oracle",
      sampleEvict,
      /the oracle's tokens of a prompt of 7; got another choice in afterPrefill of layer 0/,
      { oracle: (({ k }: PrefillEndContext) => (k.length < 7 ? undefined : [[0], [0]])) as never },
    ],
  ],
  conformanceChecks(sampleSelect).map(({ id }) => id),
);

const elements = (change: (made: ReturnType<typeof sampleElements.create>) => object): AnyPlugin =>
  changed(sampleElements, change);

/** Element scores changed for the worse. */
const elementScores = (change: (all: Float32Array, context: CompressContext, part: "k" | "v") => Float32Array) =>
  elements(({ score }) => ({
    score: (context: CompressContext, part: "k" | "v") => change(score(context, part), context, part),
  }));

describeSound(sampleElements);
describeMutants(
  "checks of element scorers",
  sampleElements,
  [
    [
      "element-counts",
      "compresses no tokens at a time",
      elements(() => ({ groupTokens: 0 })),
      /groupTokens to be a whole number >= 1; got 0/,
    ],
    ["element-counts", "keeps no recent token", elements(() => ({ recentTokens: 0 })), /recentTokens .*; got 0/],
    [
      "element-counts",
      "keeps a fraction of an element",
      elements(() => ({ kept: (d: number) => ({ k: d / 2, v: 0.3 * d }) })),
      /kept\(16\)\.v to be a whole number in 1\.\.16; got 4\.8/,
    ],
    [
      "element-scores",
      "scores one head only",
      elementScores((all) => all.subarray(all.length / 2)),
      /2 x 8 x 16 scores of k for usual numbers; got 128/,
    ],
    [
      "element-scores",
      "divides by the largest element",
      elementScores((all) => all.map((score) => score / Math.max(...all))),
      /numbers as scores of k for zeros; got NaN/,
    ],
    [
      "element-scores",
      "squares large values of V",
      elementScores((all, _, part) =>
        part === "k" ? all : all.map((score) => Math.fround(score ** 2) - Math.fround(score ** 2)),
      ),
      /numbers as scores of v for numbers of about 1e30; got NaN/,
    ],
    [
      "groups-apart",
      "compares the tokens that come together",
      elementScores((all) => all.map((score) => score / (1 + Math.max(...all)))),
      /do not depend on how many groups come together; got .* alone and .* with others, in group \d/,
    ],
    [
      "nan-values",
      "takes NaN in the values for zero",
      elementScores((all, { v }, part) =>
        part === "k" ? all : all.map((score, at) => score || elementAt(v, 0, 0, at % 16) || 0),
      ),
      /an error for NaN in v/,
    ],
    [
      "oracle",
      "keeps other elements than its oracle",
      sampleElements,
      /the oracle's elements 0,1,2,3,4 in row \d+ of k of KV head 0, usual numbers; got/,
      {
        oracle: (({ k }: CompressContext) =>
          Array.from({ length: k.heads * k.length }, () => [0, 1, 2, 3, 4])) as never,
      },
    ],
  ],
  conformanceChecks(sampleSelect).map(({ id }) => id),
);
