import { type BlockMask, bandMask, denseMask, type Mask, type Masker } from "@winnow/core";
import { BLOCK_SIZE, blockMask, chooseBlocks, forceDiagonal, scoreBlocks } from "./block-sparse.js";
import type { HeadConfig, HeadEntry, HeadType } from "./head-config.js";
import type { MInferenceOptions } from "./options.js";
import { createScratch, type EstimateContext, estimateLines, type Scratch, selectLines } from "./vertical-slash.js";

/** Fewest diagonals that the reference lets a head have, although it forces more. */
const REFERENCE_MIN_SLASHES = 50;

/** Pattern and sizes of one head for one prompt. */
export interface HeadPattern {
  readonly type: HeadType;
  readonly v: number;
  readonly s: number;
}

/**
 * MInference 1.0: each query head has a pattern that an offline search chose (`config`); its indices are estimated anew for every prompt.
 * Stateless. Per head O(L n d) for vertical-slash, O(n d + (n / 64)^2 d) for block-sparse, O(1) for A-shape.
 *
 * Source: arXiv 2407.02490, section 3.3, Algorithms 2 and 3; `minference_forward.py` of the reference code.
 */
export function minference(options: MInferenceOptions, config: HeadConfig): Masker {
  return {
    plan(context) {
      const n = context.q.length;
      if (n === 1 || context.layer < options.startingLayer) return [denseMask];
      const scratch = createScratch(n, options.lastQueries);
      const masks: Mask[] = [];
      for (let head = context.heads.start; head < context.heads.end; head++) {
        const pattern = headPattern(entryOf(config, context.layer, head, options), n, options);
        masks.push(headMask(pattern, context, head, scratch, options));
      }
      return masks;
    },
  };
}

function entryOf(
  config: HeadConfig,
  layer: number,
  head: number,
  { verticalSize, slashSize }: MInferenceOptions,
): HeadEntry {
  return config[layer]?.[head] ?? ["vertical_and_slash", verticalSize, slashSize];
}

/** An entry for a prompt of n tokens: both sizes times `ratio`, rounded down; those of vertical-slash between the forced lines and n. */
export function headPattern([type, v, s]: HeadEntry, n: number, options: MInferenceOptions): HeadPattern {
  const scaledV = Math.trunc(v * options.ratio);
  const scaledS = Math.trunc(s * options.ratio);
  if (type !== "vertical_and_slash") return { type, v: scaledV, s: scaledS };
  const minSlashes = options.strictReference ? REFERENCE_MIN_SLASHES : options.recentTokens;
  return {
    type,
    v: Math.min(n, Math.max(scaledV, options.sinkTokens)),
    s: Math.min(n, Math.max(scaledS, minSlashes)),
  };
}

export function headMask(
  { type, v, s }: HeadPattern,
  context: EstimateContext,
  head: number,
  scratch: Scratch,
  options: MInferenceOptions,
): Mask {
  const n = context.q.length;
  switch (type) {
    case "stream_llm":
      // A window of 0 would leave rows without any key.
      return bandMask({ sinkTokens: v, recentTokens: Math.max(1, s) });
    case "block_sparse":
      return blockSparseMask(context, head, options);
    case "vertical_and_slash":
      // Every column or every diagonal: nothing to choose.
      if (v === n || s === n) return denseMask;
      return {
        form: "vertical-slash",
        ...selectLines(estimateLines(context, head, scratch), { v, s }, options, context.primitives),
        exact: false,
      };
  }
}

function blockSparseMask(
  context: EstimateContext,
  head: number,
  { keepBlocks, strictReference }: MInferenceOptions,
): BlockMask {
  const scores = scoreBlocks(context, head, BLOCK_SIZE);
  if (!strictReference) forceDiagonal(scores);
  return blockMask(chooseBlocks(scores, keepBlocks, context.primitives), context.q.length, BLOCK_SIZE);
}
