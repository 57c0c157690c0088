import type { EvictScorer, HeadTensor, PrefillEndContext, Primitives } from "@winnow/core";
import { DEFAULT_CAPACITY, type SnapKvOptions } from "./options.js";
import { poolVotes } from "./pooling.js";

/**
 * SnapKV (arXiv 2404.14469, Section 4): after the prompt, its last `observationWindow` queries vote on the tokens before them; votes are pooled
 * along the text; each KV head keeps its best tokens and the window. Decoded tokens are appended and never dropped.
 *
 * A prompt of at most `observationWindow` tokens, or that fits the budget, stays whole.
 * Cost: O(h * w * n * d), once per layer.
 */
export function snapKv(options: SnapKvOptions): EvictScorer {
  const { observationWindow } = options;
  return {
    observationQueries: observationWindow,
    sinkTokens: 0,
    recentTokens: observationWindow,
    budget: (length) => (length <= observationWindow ? length : tokensKept(length, options)),
    score: (context) => groupScores(context, options),
  };
}

/** At least one token, so that decoding has something to read; a share below the window keeps the last tokens of it. */
function tokensKept(length: number, { capacity, keepRatio }: SnapKvOptions): number {
  if (keepRatio === undefined) return capacity ?? DEFAULT_CAPACITY;
  return Math.max(1, Math.floor(length * keepRatio));
}

/**
 * Scores `[hKv, n]`: mean of the pooled votes over the query heads of each KV head, as kvpress does. (The original keeps a selection per query
 * head, and with it a copy of the cache per query head.) Entries of the window are 0: it stays whatever the votes are.
 */
export function groupScores(context: PrefillEndContext, options: SnapKvOptions): Float32Array {
  const { q, k } = context;
  const group = q.heads / k.heads;
  const scores = new Float32Array(k.heads * k.length);
  for (let kvHead = 0; kvHead < k.heads; kvHead++) {
    const row = scores.subarray(kvHead * k.length, (kvHead + 1) * k.length);
    for (let member = 0; member < group; member++) {
      const votes = headVotes(context, kvHead * group + member, kvHead, options);
      for (let j = 0; j < votes.length; j++) row[j] += votes[j] / group;
    }
  }
  return scores;
}

/**
 * Pooled votes `[n - w]` of one query head: the attention that the window's queries pay to each earlier token, summed over the queries
 * (Section 4.1; kvpress takes the mean, which orders the tokens alike), then pooled along the text (Section 4.2).
 */
export function headVotes(
  { q, k, scale, primitives }: Pick<PrefillEndContext, "q" | "k" | "scale" | "primitives">,
  head: number,
  kvHead: number,
  { poolKernel, pooling }: Pick<SnapKvOptions, "poolKernel" | "pooling">,
): Float32Array {
  const earlier = k.length - q.length;
  const attention = windowAttention(q, k, head, kvHead, scale, primitives);
  const columns = new Float32Array(k.length);
  primitives.columnSums(attention, q.length, k.length, columns);
  return poolVotes(columns.subarray(0, earlier), poolKernel, pooling);
}

/** Softmax over all n keys, causal inside the window; `[w, n]`. */
function windowAttention(
  q: HeadTensor,
  k: HeadTensor,
  head: number,
  kvHead: number,
  scale: number,
  primitives: Pick<Primitives, "scores" | "softmaxRows">,
): Float32Array {
  const attention = new Float32Array(q.length * k.length);
  primitives.scores({ q, k, head, kvHead, scale, causalOffset: k.length - q.length }, attention);
  primitives.softmaxRows(attention, q.length, k.length);
  return attention;
}
