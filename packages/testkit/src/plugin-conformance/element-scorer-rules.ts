import { type CompressContext, type ElementScorer, sliceTokens } from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { reference } from "./masker-run.js";
import { requireRefusal } from "./nan-rule.js";
import { makePrompt, type PromptSettings, withNaN } from "./prompts.js";
import type { ElementOracle } from "./subject.js";

type Part = "k" | "v";
const parts: readonly Part[] = ["k", "v"];

/** Numbers that rows of K and of V may hold. */
const edges: readonly (readonly [what: string, settings: Partial<PromptSettings>])[] = [
  ["usual numbers", {}],
  ["equal numbers", { flat: true }],
  ["zeros", { flat: true, magnitude: 0 }],
  ["numbers of about 1e30", { magnitude: 1e30 }],
  ["numbers of about 1e-30", { magnitude: 1e-30 }],
  ["bf16 numbers", { dtype: "bf16" }],
];

export function checkElementCounts(maker: Maker): string {
  const scorer = maker.create() as ElementScorer;
  for (const name of ["recentTokens", "groupTokens"] as const) {
    const whole = Number.isInteger(scorer[name]) && scorer[name] >= 1;
    requireThat(whole, `${name} to be a whole number >= 1`, `${scorer[name]}`);
  }
  const counts = [16, 64, 80, 128].map((d) => {
    const kept = attempt(`kept of ${d} elements`, () => scorer.kept(d));
    for (const part of parts) {
      const count = kept?.[part];
      const inside = Number.isInteger(count) && count >= 1 && count <= d;
      requireThat(inside, `kept(${d}).${part} to be a whole number in 1..${d}`, `${count}`);
    }
    return `${kept.k} and ${kept.v} of ${d}`;
  });
  return counts.join(", ");
}

/** Rows of K and of V get scores for every kind of number, one group and two. */
export function checkElementScores(maker: Maker): undefined {
  const scorer = maker.create() as ElementScorer;
  for (const [what, settings] of edges)
    for (const groups of [1, 2])
      for (const part of parts) {
        const context = contextOf(scorer.groupTokens * groups, settings);
        const scores = attempt(`scores of ${part} for ${what}`, () => scorer.score(context, part));
        const { heads, length, headDim } = context.k;
        requireThat(scores instanceof Float32Array, "score to return a Float32Array", () => typeof scores);
        const size = `${heads} x ${length} x ${headDim}`;
        requireThat(
          scores.length === heads * length * headDim,
          `${size} scores of ${part} for ${what}`,
          `${scores.length}`,
        );
        const bad = scores.findIndex(Number.isNaN);
        requireThat(bad < 0, `numbers as scores of ${part} for ${what}`, () => `NaN for element ${bad % headDim}`);
      }
}

/** Groups may be compressed one by one as tokens come, or all at once after the prompt. */
export function checkGroupsApart(maker: Maker): undefined {
  const scorer = maker.create() as ElementScorer;
  const { groupTokens } = scorer;
  const whole = contextOf(3 * groupTokens);
  const { heads, headDim } = whole.k;
  for (const part of parts) {
    const together = scorer.score(whole, part);
    for (const group of [0, 1, 2]) {
      const start = group * groupTokens;
      const [k, v] = [whole.k, whole.v].map((x) => sliceTokens(x, start, start + groupTokens));
      const apart = scorer.score({ ...whole, k, v, compressed: whole.compressed + start }, part);
      for (let head = 0; head < heads; head++) {
        const from = (head * 3 * groupTokens + start) * headDim;
        const wanted = together.subarray(from, from + groupTokens * headDim);
        const bad = wanted.findIndex((score, at) => !Object.is(score, apart[head * groupTokens * headDim + at]));
        requireThat(
          bad < 0,
          `scores of ${part} that do not depend on how many groups come together`,
          () => `${apart[head * groupTokens * headDim + bad]} alone and ${wanted[bad]} with others, in group ${group}`,
        );
      }
    }
  }
}

export function checkNaNValues(maker: Maker): string | undefined {
  const pruner = maker.pruner();
  const { recentTokens, groupTokens } = maker.create() as ElementScorer;
  const n = recentTokens + groupTokens;
  const run = (context: CompressContext) => pruner.compress?.(context, pruner.createState());
  const spoiled = { ...contextOf(n), v: withNaN(promptOf(n)).k };
  return requireRefusal(
    "v",
    () => run(spoiled),
    () => run(contextOf(n, { seed: 2 })),
    (a, b) => (String(a?.v.indices) === String(b?.v.indices) ? undefined : "the elements of v"),
  );
}

export function checkElementOracle(maker: Maker): undefined {
  const oracle = maker.subject.oracle as ElementOracle;
  const pruner = maker.pruner();
  const { recentTokens, groupTokens, kept } = maker.create() as ElementScorer;
  for (const [what, settings] of edges) {
    const context = contextOf(recentTokens + 2 * groupTokens + 1, settings);
    const result = attempt(`compress for ${what}`, () => pruner.compress?.(context, pruner.createState()));
    const count = Math.floor((context.k.length - recentTokens) / groupTokens) * groupTokens;
    requireThat(result?.count === count, `${count} tokens to be compressed`, `${result?.count}`);
    const compressed = {
      ...context,
      k: sliceTokens(context.k, 0, count),
      v: sliceTokens(context.v, 0, count),
    };
    const counts = kept(context.k.headDim);
    for (const part of parts) {
      const rows = oracle(compressed, part, maker.options());
      for (const [row, wanted] of rows.entries()) {
        const given = Array.from(result[part].indices.subarray(row * counts[part], (row + 1) * counts[part]));
        const place = `row ${row % count} of ${part} of KV head ${Math.floor(row / count)}, ${what}`;
        requireThat(`${given}` === `${wanted}`, `the oracle's elements ${wanted} in ${place}`, `${given}`);
      }
      requireThat(
        rows.length === context.k.heads * count,
        `${context.k.heads * count} rows of the oracle`,
        `${rows.length}`,
      );
    }
  }
}

function promptOf(n: number, settings: Partial<PromptSettings> = {}) {
  return makePrompt({ name: `${n} tokens`, n, seed: 11, ...settings });
}

/** V holds numbers of the same kind as K, others. */
function contextOf(n: number, settings: Partial<PromptSettings> = {}): CompressContext {
  const { model, k } = promptOf(n, settings);
  const { k: v } = promptOf(n, { ...settings, seed: (settings.seed ?? 11) + 1 });
  return { model, layer: 0, k, v, compressed: 0, primitives: reference };
}
