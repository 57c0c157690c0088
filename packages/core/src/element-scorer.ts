import { WinnowError } from "./errors.js";
import type { CompressContext, CompressedTokens, ElementScorer, KvPruner } from "./kv-pruner.js";
import type { KeptElements } from "./packed-rows.js";
import { sliceTokens } from "./tensor.js";

/** Tokens that are scored at once, so that scores of a long prompt stay small; always whole groups. */
const SCORED_TOKENS = 1024;

/** Turns an {@link ElementScorer} into a {@link KvPruner} that compresses whole groups of tokens as they leave the recent ones. */
export function prunerFromElementScorer(scorer: ElementScorer): KvPruner<null> {
  return {
    createState: () => null,
    compress: (context) => compressByScore(scorer, context),
  };
}

function compressByScore(scorer: ElementScorer, context: CompressContext): CompressedTokens | undefined {
  const { recentTokens, groupTokens } = scorer;
  requireCount("recentTokens", recentTokens);
  requireCount("groupTokens", groupTokens);
  const groups = Math.floor((context.k.length - recentTokens) / groupTokens);
  if (groups < 1) return undefined;
  const { headDim } = context.k;
  const kept = scorer.kept(headDim);
  requireCount("kept(d).k", kept.k, headDim);
  requireCount("kept(d).v", kept.v, headDim);
  const count = groups * groupTokens;
  return {
    count,
    k: keepElements(scorer, context, "k", count, kept.k),
    v: keepElements(scorer, context, "v", count, kept.v),
  };
}

function keepElements(
  scorer: ElementScorer,
  context: CompressContext,
  part: "k" | "v",
  count: number,
  kept: number,
): KeptElements {
  const { heads } = context.k;
  const indices = new Uint16Array(heads * count * kept);
  const piece = Math.max(1, Math.floor(SCORED_TOKENS / scorer.groupTokens)) * scorer.groupTokens;
  for (let start = 0; start < count; start += piece) {
    const end = Math.min(count, start + piece);
    const best = bestElements(scorer, context, part, { start, end, kept });
    const width = (end - start) * kept;
    for (let head = 0; head < heads; head++)
      indices.set(best.subarray(head * width, (head + 1) * width), (head * count + start) * kept);
  }
  return { kept, indices };
}

/** `[hKv, end - start, kept]`. */
function bestElements(
  scorer: ElementScorer,
  context: CompressContext,
  part: "k" | "v",
  { start, end, kept }: { start: number; end: number; kept: number },
): Int32Array {
  const { heads, headDim } = context.k;
  const scores = scorer.score(
    {
      ...context,
      k: sliceTokens(context.k, start, end),
      v: sliceTokens(context.v, start, end),
      compressed: context.compressed + start,
    },
    part,
  );
  const rows = heads * (end - start);
  if (!(scores instanceof Float32Array) || scores.length !== rows * headDim) {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Element scores of ${part} must be a Float32Array of ${heads} x ${end - start} x ${headDim} numbers, got ${scores?.length}.`,
    );
  }
  return context.primitives.topKRows(scores, rows, headDim, kept);
}

function requireCount(what: string, value: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? "of at least 1" : `in 1..${most}`;
  throw new WinnowError("ERR_PLUGIN_RESULT", `${what} must be an integer ${range}, got ${value}.`);
}
