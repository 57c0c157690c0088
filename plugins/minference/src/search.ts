import { bestIndex, recallCandidates, scaleCandidate, storedEntry } from "./candidates.js";
import type { HeadEntry } from "./head-config.js";
import type { HeadPattern } from "./minference.js";
import { fitCandidates, type OutputContext, outputErrors } from "./output-error.js";
import { attentionRecalls } from "./recall.js";
import type { EstimateContext } from "./vertical-slash.js";

/** Outcome for one head. */
export interface HeadSearch {
  readonly candidates: readonly HeadPattern[];
  /** Recall (higher is better) or output error (lower is better) of each candidate. */
  readonly scores: readonly number[];
  readonly winner: number;
  readonly entry: HeadEntry;
}

/** The search that the reference ships: highest attention recall over rows >= firstRow; every winner is stored as vertical-slash. */
export function searchByRecall(
  context: EstimateContext,
  head: number,
  firstRow: number,
  scale: number,
  unscaled: readonly HeadPattern[] = recallCandidates,
): HeadSearch {
  const candidates = unscaled.map((candidate) => scaleCandidate(candidate, scale));
  const scores = attentionRecalls(context, head, candidates, firstRow);
  const winner = bestIndex(scores, (a, b) => a > b);
  return { candidates, scores, winner, entry: storedEntry(candidates[winner], scores[winner], scale) };
}

/** Algorithm 1 of the paper: least output error among patterns of equal kernel cost; the winner is stored as it is. */
export function searchByOutput(context: OutputContext, head: number, scale: number, tolerance: number): HeadSearch {
  const candidates = fitCandidates(context, head, scale, tolerance);
  const scores = outputErrors(
    context,
    head,
    candidates.map(({ mask }) => mask),
  );
  const winner = bestIndex(scores, (a, b) => a < b);
  const { type, v, s } = candidates[winner];
  return { candidates, scores, winner, entry: [type, v, s, scores[winner]] };
}
