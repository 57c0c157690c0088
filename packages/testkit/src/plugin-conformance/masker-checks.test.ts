import {
  type BlockMask,
  bandMask,
  elementAt,
  kvHeadOf,
  type Mask,
  type MaskerContext,
  maskerFromBlockScorer,
  type Operations,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { conformanceChecks } from "./checks.js";
import type { KernelVariant } from "./kernels.js";
import { sampleBlocks, sampleWindow } from "./sample-plugins.js";
import { changed, describeMutants, describeSound, type Mutant } from "./testing/mutants.js";

type Plan = (context: MaskerContext) => readonly Mask[];

const plans = (plan: Plan) => changed(sampleWindow, () => ({ plan }));
const window = (recentTokens: number) => bandMask({ sinkTokens: 0, recentTokens });

/** Blocks of 16 on and below the diagonal, changed by `change`. */
function blocks(n: number, change: (bits: Uint8Array, count: number) => void, count = Math.ceil(n / 16)): BlockMask {
  const bits = Uint8Array.from({ length: count * count }, (_, e) => (e % count <= Math.floor(e / count) ? 1 : 0));
  change(bits, count);
  return { form: "blocks", blockSize: 16, bits };
}

/** A window as wide as a number taken from q and k says. */
const byNumbers = (numberOf: (context: MaskerContext) => number) =>
  plans((context) => [window(1 + (Math.floor(Math.abs(1e4 * numberOf(context))) % 50))]);

/** A window whose width is chosen by the best of some scores; NaN is refused. */
const byScores = (scoresOf: (context: MaskerContext) => Float32Array) =>
  plans((context) => [window(1 + context.primitives.topK(scoresOf(context), 1)[0])]);

const keysOf = ({ k }: MaskerContext) => Float32Array.from({ length: k.length }, (_, j) => elementAt(k, 0, j, 0));

/** Variants of the reference that say how many threads they have. */
const threaded = async (): Promise<KernelVariant[]> =>
  [1, 2].map((threads) => {
    const operations = { ...createReference(), threads } as Operations;
    return { name: `${threads} threads`, family: "threaded", operations };
  });

function remembering(): Plan {
  let first: readonly Mask[] | undefined;
  return ({ layer, q }) => {
    if (layer === 0) first = [window(q.length)];
    return first ?? [window(q.length)];
  };
}

function sharedBits(): Plan {
  const bits = new Uint8Array(400);
  return ({ q, layer }) => {
    const mask = blocks(q.length, (own, count) => layer % 2 === 1 && count > 1 && own.fill(0, count, count + 1));
    bits.set(mask.bits);
    return [{ ...mask, bits: bits.subarray(0, mask.bits.length) }];
  };
}

function counting(): Plan {
  let calls = 0;
  return () => [window(1 + calls++)];
}

const mutants: Mutant[] = [
  ["masks-valid", "returns 3 masks for 4 heads", plans(() => Array(3).fill(window(1))), /1 or 4 masks .*; got 3/],
  [
    "masks-valid",
    "returns a window of 0",
    plans(() => [window(0)]),
    /a valid mask .*recentTokens must be an integer >= 1/,
  ],
  [
    "causal",
    "keeps a block above the diagonal",
    plans(({ q }) => [blocks(q.length, (bits) => bits.fill(1))]),
    /no key after its query .*; got key block 1 for query block 0/,
  ],
  [
    "causal",
    "keeps a negative slash",
    plans(() => [{ form: "vertical-slash", columns: new Int32Array(0), slashes: Int32Array.of(0, -1), exact: true }]),
    /slash -1, which lies above the diagonal/,
  ],
  [
    "rows-not-empty",
    "leaves a block of rows empty",
    plans(({ q }) => [blocks(q.length, (bits, count) => bits.fill(0, count, 2 * count))]),
    /a key in every row of head 0; got none in row 16/,
  ],
  ["one-token", "keeps n - 1 tokens", plans(({ q }) => [window(q.length - 1)]), /a prompt of 1 token/],
  [
    "short-prompt",
    "counts whole blocks only",
    plans(({ q }) => [blocks(q.length, () => {}, Math.floor(q.length / 16))]),
    /a prompt of 7 tokens; .*bits must have 1 elements, got 0/,
  ],
  [
    "ragged-prompt",
    "forgets the last, shorter block",
    plans(({ q }) => [blocks(q.length, () => {}, Math.max(1, Math.floor(q.length / 16)))]),
    /a prompt of 131 tokens; .*bits must have 81 elements, got 64/,
  ],
  [
    "grouped-heads",
    "reads a KV head for each query head",
    byScores(({ q, k, primitives }) => {
      const out = new Float32Array(k.length);
      primitives.scores({ q, k, head: 0, kvHead: q.heads - 1, scale: 1 }, new Float32Array(q.length * k.length));
      return out;
    }),
    /6 query heads over 2 KV heads; got the error/,
  ],
  [
    "equal-scores",
    "divides by the range of its scores",
    byScores((context) => {
      const keys = keysOf(context);
      const [low, high] = [Math.min(...keys), Math.max(...keys)];
      return keys.map((key) => (key - low) / (high - low));
    }),
    /equal queries and keys; got the error ".*NaN/,
  ],
  [
    "huge-values",
    "takes exponentials without their maximum",
    byScores((context) => {
      const weights = keysOf(context).map(Math.exp);
      return weights.map((weight) => weight / weights.reduce((sum, one) => sum + one, 0));
    }),
    /values of about 1e4; got the error/,
  ],
  [
    "tiny-values",
    "divides by a sum of squares in float32",
    byScores((context) => {
      const keys = keysOf(context);
      const [sum] = Float32Array.of(keys.reduce((squares, key) => squares + key * key, 0));
      return keys.map((key) => key / sum - key / sum);
    }),
    /values of about 1e-30; got the error ".*NaN/,
  ],
  [
    "bf16-keys",
    "takes bf16 bits for numbers",
    byNumbers(({ k }) => k.data[k.offset]),
    /the same masks for keys in bf16/,
  ],
  [
    "nan-refused",
    "takes NaN for zero",
    byNumbers((context) => keysOf(context)[3] || 0),
    /an error for NaN in q and k, .*; got a result that looks like any other/,
  ],
  [
    "nan-refused",
    "throws an error that is not one of Winnow",
    byNumbers((context) => {
      if (Number.isNaN(keysOf(context)[3])) throw new TypeError("bad");
      return 1;
    }),
    /a WinnowError for NaN in q and k; got .*bad/,
  ],
  [
    "inputs-unchanged",
    "writes into q",
    plans(({ q }) => {
      q.data[3] = 0;
      return [window(1)];
    }),
    /q to stay as it was; got .* turned into 0/,
  ],
  [
    "strides",
    "takes q for contiguous [h, n, d] data",
    byNumbers(({ q }) => q.data[q.headDim]),
    /the masks of \[h, n, d\] .*; got another choice at pair/,
  ],
  [
    "head-range",
    "counts heads from 0",
    plans(({ heads }) => Array.from({ length: heads.end - heads.start }, (_, head) => window(5 + head))),
    /the masks of heads 1 to 2 .*head 1, which is left out there/,
  ],
  [
    "repeats",
    "counts its calls",
    changed(sampleWindow, () => ({ plan: counting() })),
    /the same masks from a second call/,
  ],
  [
    "separate-sequences",
    "remembers the first layer of whatever prompt came last",
    changed(sampleWindow, () => ({ plan: remembering() })),
    /not to depend on other calls of plan|same masks/,
  ],
  [
    "separate-sequences",
    "returns the same memory again",
    changed(sampleWindow, () => ({ plan: sharedBits() })),
    /masks of a prompt of 140 tokens in layer 0 to stay as they were when plan is called again/,
  ],
  [
    "kernels-agree",
    "looks at the number of threads",
    plans(({ primitives }) => [window((primitives as unknown as { threads: number }).threads)]),
    /with 2 threads as with 1 threads; got another choice/,
    { kernels: threaded },
  ],
  [
    "kernels-agree",
    "ranks by the last bits of sums",
    byNumbers(({ q, k, model, primitives }) => {
      const out = new Float32Array(q.length * k.length);
      primitives.scores({ q, k, head: 1, kvHead: kvHeadOf(1, model), scale: 1 }, out);
      const bits = new Uint32Array(out.buffer);
      return bits.reduce((sum, word) => sum + (word & 3), 0) / 1e4;
    }),
    /the same masks, but for near ties, .* pairs that differ/,
  ],
  [
    "density",
    "lists columns in any order",
    plans(() => [{ form: "vertical-slash", columns: Int32Array.of(90, 3), slashes: Int32Array.of(0), exact: true }]),
    /pairs in the statistics of head 0/,
  ],
  [
    "oracle",
    "keeps one token less than its oracle",
    sampleWindow,
    /the pairs of the oracle for a prompt of 63 tokens; got another choice at pair \(query 9, key 0\)/,
    { oracle: (() => (_head: number, i: number, j: number) => i - j < 10) as never },
  ],
];

describeSound(sampleWindow);
describeMutants("checks of maskers", sampleWindow, mutants, [
  ...["definition", "options-documented", "options-defaults", "options-unknown", "options-check"],
  ...["create-defaults", "create-separate"],
  // For information only.
  "recall",
]);

const scores = (change: (scores: Float32Array) => Float32Array) =>
  changed(sampleBlocks, ({ score }) => ({
    score: (...args: Parameters<typeof score>) => change(score(...args)),
  }));

describeSound(sampleBlocks);
describeMutants(
  "checks of block scorers",
  sampleBlocks,
  [
    [
      "block-counts",
      "keeps 0 blocks",
      changed(sampleBlocks, () => ({ keepBlocks: 0 })),
      /keepBlocks to be .* >= 1; got 0/,
    ],
    ["block-counts", "has half a block", changed(sampleBlocks, () => ({ blockSize: 0.5 })), /blockSize .*; got 0.5/],
    ["block-scores", "leaves a row out", scores((all) => all.subarray(1)), /1 x 1 scores for 1 tokens; got 0/],
    ["block-scores", "scores NaN", scores((all) => all.fill(Number.NaN, 2)), /got NaN for blocks \(1, 0\)|got NaN/],
    [
      "equal-scores",
      "normalises its scores",
      scores((all) => all.map((score) => (score - all[0]) / (Math.max(...all) - Math.min(...all)))),
      /equal queries and keys; got the error/,
    ],
  ],
  conformanceIdsOfMaskers(),
);

/** Block scorers go through the same checks once `core` has made them maskers. */
function conformanceIdsOfMaskers(): string[] {
  const asMasker = changed(sampleWindow, () => maskerFromBlockScorer(sampleBlocks.create({}, {} as never)));
  return conformanceChecks(asMasker).map(({ id }) => id);
}
