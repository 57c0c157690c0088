import { WinnowError } from "./errors.js";
import type { Primitives } from "./operations.js";
import type { SparsityPattern } from "./weight-sparsifier.js";

/**
 * Which weights stay: `[out, in]`, 1 = kept. The lowest scores go; of equal scores the lower index goes first
 * (the stable ascending sort of the reference implementations). O(out * in * log in).
 */
export function keepByScore(
  scores: Float32Array,
  outFeatures: number,
  inFeatures: number,
  pattern: SparsityPattern,
  primitives: Pick<Primitives, "topK">,
): Uint8Array {
  if (scores.length !== outFeatures * inFeatures) {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Weight scores must hold ${outFeatures} x ${inFeatures} numbers, got ${scores.length}.`,
    );
  }
  const kept = new Uint8Array(scores.length).fill(1);
  for (const [start, end, removed] of groups(outFeatures, inFeatures, pattern)) {
    if (removed === 0) continue;
    const negated = scores.subarray(start, end).map((score) => -score);
    for (const index of primitives.topK(negated, removed)) kept[start + index] = 0;
  }
  return kept;
}

function* groups(
  outFeatures: number,
  inFeatures: number,
  pattern: SparsityPattern,
): Generator<[start: number, end: number, removed: number]> {
  if (pattern.pattern === "matrix") {
    yield [0, outFeatures * inFeatures, Math.floor(outFeatures * inFeatures * pattern.sparsity)];
    return;
  }
  for (let row = 0; row < outFeatures; row++) {
    const base = row * inFeatures;
    if (pattern.pattern === "row") {
      yield [base, base + inFeatures, Math.floor(inFeatures * pattern.sparsity)];
      continue;
    }
    for (let start = 0; start < inFeatures; start += pattern.of) {
      const size = Math.min(pattern.of, inFeatures - start);
      yield [base + start, base + start + size, size - Math.min(pattern.keep, size)];
    }
  }
}
