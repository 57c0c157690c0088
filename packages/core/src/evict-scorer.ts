import { WinnowError } from "./errors.js";
import type { EvictScorer, KeptTokens, KvPruner, PrefillEndContext } from "./kv-pruner.js";
import type { Primitives } from "./operations.js";

/** Turns an {@link EvictScorer} into a {@link KvPruner} that evicts once, at the end of the prompt. */
export function prunerFromEvictScorer(scorer: EvictScorer): KvPruner<null> {
  return {
    ...(scorer.observationQueries !== undefined && { observationQueries: scorer.observationQueries }),
    createState: () => null,
    afterPrefill: (context) => evictByScore(scorer, context),
  };
}

function evictByScore(scorer: EvictScorer, context: PrefillEndContext): KeptTokens | undefined {
  const length = context.k.length;
  const budget = scorer.budget(length);
  if (budget >= length) return undefined;
  const scores = scorer.score(context);
  if (scores.length !== context.k.heads * length) {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Token scores must hold ${context.k.heads} x ${length} numbers, got ${scores.length}.`,
    );
  }
  return keepBest(scores, context.k.heads, length, budget, scorer, context.primitives);
}

/**
 * Keeps `budget` tokens of each row of `scores` `[heads, length]`: the first `sinkTokens`, the last `recentTokens`, then the best; ties: lower index.
 * With fewer places than forced tokens, the last tokens win. Scores must be finite or -Infinity; those of forced tokens are overwritten.
 */
export function keepBest(
  scores: Float32Array,
  heads: number,
  length: number,
  budget: number,
  forced: { sinkTokens: number; recentTokens: number },
  primitives: Pick<Primitives, "topKRows">,
): KeptTokens {
  const count = Math.min(budget, length);
  const recent = Math.min(forced.recentTokens, count);
  const sinks = Math.min(forced.sinkTokens, count - recent, length - recent);
  for (let base = 0; base < heads * length; base += length) {
    scores.fill(Number.POSITIVE_INFINITY, base, base + sinks);
    scores.fill(Number.POSITIVE_INFINITY, base + length - recent, base + length);
  }
  return {
    indices: primitives.topKRows(scores, heads, length, count),
    offsets: Int32Array.from({ length: heads + 1 }, (_, head) => head * count),
  };
}
