import type { ConformanceCheck } from "./check.js";
import {
  checkElementCounts,
  checkElementOracle,
  checkElementScores,
  checkGroupsApart,
  checkNaNValues,
} from "./element-scorer-rules.js";
import { checkEvictScorer, checkExactBudget } from "./evict-scorer-rules.js";
import type { Maker } from "./make.js";
import { checkClones, checkKernels, checkLayout, checkRepeats, checkSeparateSequences } from "./pruner-determinism.js";
import {
  checkBudget,
  checkCompress,
  checkHooks,
  checkNaN,
  checkOracle,
  checkRagged,
  checkRun,
} from "./pruner-rules.js";
import { type SequenceShape, usualSequence } from "./sequences.js";

/** Sequences that a pruner must cope with: id of the check, the sentence, the sequence. */
const edges: readonly (readonly [id: string, title: string, shape: SequenceShape])[] = [
  ["growth", "a prompt of one token may grow step by step", { promptTokens: 1, tokens: 80 }],
  ["short-prompt", "a prompt of 7 tokens may be decoded", { promptTokens: 7, tokens: 12 }],
  ["grouped-heads", "6 query heads may share 2 KV heads", { promptTokens: 70, tokens: 80, queryHeads: 6 }],
  ["equal-scores", "queries and keys may all be equal", { promptTokens: 70, tokens: 80, flat: true }],
  ["huge-values", "queries and keys may be about 1e4", { promptTokens: 70, tokens: 80, magnitude: 1e4 }],
  ["tiny-values", "queries and keys may be about 1e-30", { promptTokens: 70, tokens: 80, magnitude: 1e-30 }],
  ["bf16-cache", "the cache may be bf16", { promptTokens: 70, tokens: 80, dtype: "bf16" }],
];

/** Rules for what evicts from the KV cache, compresses it, and chooses what is read of it. */
export function prunerChecks(maker: Maker): ConformanceCheck[] {
  const pruner = "kv-pruner.ts: KvPruner";
  const check = (
    id: string,
    title: string,
    clause: string,
    rule: (maker: Maker) => string | undefined | Promise<string>,
  ): ConformanceCheck => ({ id, title, clause, run: async () => rule(maker) });
  const checks = [
    check("hooks", "at least one hook is there", pruner, checkHooks),
    check(
      "lists-valid",
      "kept tokens and read plans fit the cache: ascending, in range, never empty, in every layer and step",
      "kv-pruner.ts: KeptTokens, ReadPlan",
      () => checkRun(maker, usualSequence),
    ),
    check(
      "compressed-valid",
      "compressed tokens fit the cache, keep as many elements each time, and their layer is read whole",
      "kv-pruner.ts: KvPruner.compress, CompressedTokens",
      checkCompress,
    ),
    check("budget", "lists hold no more tokens than the options promise", pruner, checkBudget),
    check(
      "ragged-heads",
      "KV heads that keep different numbers of tokens get plans that fit each",
      "kv-pruner.ts: KeptTokens",
      checkRagged,
    ),
    ...edges.map(([id, title, shape]) => check(id, title, pruner, () => checkRun(maker, shape))),
    check(
      "state-cloneable",
      "the state survives structuredClone between steps",
      "kv-pruner.ts: KvPruner.createState",
      checkClones,
    ),
    check("nan-refused", "NaN is an error, not a silent choice", "errors.ts: ERR_NON_FINITE", checkNaN),
    check("inputs-unchanged", "hooks leave q, k and v as they are", "kv-pruner.ts: DecodeContext", () =>
      checkRun(maker, usualSequence, { watched: true }),
    ),
    check("strides", "q, k and v are read through their offset and strides", "tensor.ts: HeadTensor", checkLayout),
    check("repeats", "the same sequence gets the same decisions each time", pruner, checkRepeats),
    check("separate-sequences", "interleaved sequences go as they go apart", pruner, checkSeparateSequences),
    check(
      "kernels-agree",
      "decisions do not depend on kernels, threads or instruction set",
      "operations.ts: Operations",
      checkKernels,
    ),
  ];
  const oracle = check(
    "oracle",
    "tokens kept of a prompt equal those of the oracle",
    "kv-pruner.ts: KvPruner.afterPrefill",
    checkOracle,
  );
  return maker.subject.oracle && maker.definition.kind !== "element-scorer" ? [...checks, oracle] : checks;
}

/** Rules for the small form of a compressing pruner, before `core` chooses by its scores. */
export function elementScorerChecks(maker: Maker): ConformanceCheck[] {
  const check = (
    id: string,
    title: string,
    clause: string,
    rule: (maker: Maker) => string | undefined,
  ): ConformanceCheck => ({ id, title, clause: `kv-pruner.ts: ${clause}`, run: async () => rule(maker) });
  const checks = [
    check(
      "element-counts",
      "recent tokens, tokens of a group and kept elements are whole numbers in range",
      "ElementScorer.recentTokens, groupTokens, kept",
      checkElementCounts,
    ),
    check(
      "element-scores",
      "score returns one number per element of each row of K and V, none of them NaN",
      "ElementScorer.score",
      checkElementScores,
    ),
    check(
      "groups-apart",
      "groups get the same scores one by one and all at once",
      "ElementScorer.score",
      checkGroupsApart,
    ),
    check("nan-values", "NaN in the values is an error, not a silent choice", "ElementScorer.score", checkNaNValues),
  ];
  const oracle = check("oracle", "elements that stay equal those of the oracle", "ElementScorer", checkElementOracle);
  return maker.subject.oracle ? [...checks, oracle] : checks;
}

/** Rules for the small form, before `core` chooses by its scores. */
export function evictScorerChecks(maker: Maker): ConformanceCheck[] {
  return [
    {
      id: "token-scores",
      title: "forced tokens and budget are whole numbers, score returns one number per KV head and token",
      clause: "kv-pruner.ts: EvictScorer",
      run: async () => checkEvictScorer(maker),
    },
    {
      id: "exact-budget",
      title: "every KV head keeps as many tokens as the budget says",
      clause: "kv-pruner.ts: EvictScorer.budget",
      run: async () => checkExactBudget(maker),
    },
  ];
}
