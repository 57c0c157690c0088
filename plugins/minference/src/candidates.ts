import type { HeadEntry } from "./head-config.js";
import type { HeadPattern } from "./minference.js";

/** Prompt length, in tokens, that the sizes of the paper and of the reference's search belong to. */
export const PAPER_PROMPT = 30_000;

/** Candidates of the reference's `search_pattern`, in its order. Block-sparse: `v` divides the block count. */
export const recallCandidates: readonly HeadPattern[] = [
  { type: "stream_llm", v: 100, s: 800 },
  { type: "vertical_and_slash", v: 30, s: 800 },
  { type: "vertical_and_slash", v: 100, s: 750 },
  { type: "vertical_and_slash", v: 500, s: 700 },
  { type: "vertical_and_slash", v: 3500, s: 100 },
  { type: "block_sparse", v: 8, s: 1 },
];

/** Search space of the paper, Table 7. Block-sparse: `v` is the number of blocks. The first one's cost is the target of all. */
export const outputCandidates: readonly HeadPattern[] = [
  { type: "stream_llm", v: 1024, s: 4096 },
  { type: "vertical_and_slash", v: 30, s: 2048 },
  { type: "vertical_and_slash", v: 100, s: 1800 },
  { type: "vertical_and_slash", v: 500, s: 1500 },
  { type: "vertical_and_slash", v: 3000, s: 200 },
  { type: "block_sparse", v: 100, s: 1 },
];

/** A size of the paper for a shorter prompt. */
export function scaleSize(size: number, scale: number): number {
  return Math.max(1, Math.round(size * scale));
}

/** The reference's candidates with token counts scaled; the block divisor is a share already. */
export function scaleCandidate({ type, v, s }: HeadPattern, scale: number): HeadPattern {
  return type === "block_sparse" ? { type, v, s } : { type, v: scaleSize(v, scale), s: scaleSize(s, scale) };
}

/** What the reference writes for a block-sparse winner. */
const BLOCK_SPARSE_SUBSTITUTE = { v: 1000, s: 6096 } as const;

/**
 * Entry for the winner of the recall search. The reference stores every winner as vertical-slash: it can degrade to A-shape, and block-sparse heads
 * generalised badly to longer prompts (its issues 57 and 120).
 */
export function storedEntry({ type, v, s }: HeadPattern, score: number, scale: number): HeadEntry {
  if (type !== "block_sparse") return ["vertical_and_slash", v, s, score];
  const substitute = BLOCK_SPARSE_SUBSTITUTE;
  return ["vertical_and_slash", scaleSize(substitute.v, scale), scaleSize(substitute.s, scale), score];
}

/** Index of the best value; the earlier one wins ties. */
export function bestIndex(values: readonly number[], better: (a: number, b: number) => boolean): number {
  return values.reduce((best, value, index) => (better(value, values[best]) ? index : best), 0);
}
