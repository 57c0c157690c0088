import type { EvictScorer } from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { prefillContext } from "./sequence-run.js";
import { layersOf, runOf } from "./sequences.js";

export function checkEvictScorer(maker: Maker): undefined {
  const scorer = maker.create() as EvictScorer;
  const lowest = { sinkTokens: 0, recentTokens: 0 };
  for (const [name, least] of Object.entries(lowest)) {
    const value = scorer[name as keyof typeof lowest];
    requireThat(Number.isInteger(value) && value >= least, `${name} to be a whole number >= ${least}`, `${value}`);
  }
  for (const n of [1, 7, 33, 120]) {
    const budget = attempt(`a budget for ${n} tokens`, () => scorer.budget(n));
    requireThat(Number.isInteger(budget) && budget >= 1, `a budget of at least 1 of ${n} tokens`, `${budget}`);
    if (budget < n) checkScores(scorer, n);
  }
}

function checkScores(scorer: EvictScorer, n: number): void {
  const [data] = layersOf({ promptTokens: n, tokens: n });
  const context = prefillContext(data, 0, scorer, { promptTokens: n });
  const scores = attempt(`scores of ${n} tokens`, () => scorer.score(context));
  const { kvHeads } = data.model;
  requireThat(scores instanceof Float32Array, "score to return a Float32Array", () => typeof scores);
  requireThat(scores.length === kvHeads * n, `${kvHeads} x ${n} scores`, `${scores.length}`);
  const bad = scores.findIndex((score) => Number.isNaN(score) || score === Number.POSITIVE_INFINITY);
  requireThat(bad < 0, "scores that are finite or -Infinity", () => `${scores[bad]} for token ${bad % n}`);
}

export function checkExactBudget(maker: Maker): undefined {
  const scorer = maker.create() as EvictScorer;
  for (const n of [1, 7, 33, 120]) {
    const expected = Math.min(n, scorer.budget(n));
    for (const { at, heads } of runOf(maker, { promptTokens: n, tokens: n }).finish()) {
      const kept = heads?.map(({ length }) => length) ?? [n];
      requireThat(
        kept.every((count) => count === expected),
        `${at} to keep ${expected} of ${n} tokens`,
        `${kept}`,
      );
    }
  }
}
