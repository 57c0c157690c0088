import { WinnowError } from "./errors.js";
import type { BlockMask } from "./mask.js";
import type { BlockScorer, Masker, MaskerContext } from "./masker.js";

/** Turns a {@link BlockScorer} into a {@link Masker}. Forced blocks count towards `keepBlocks`. O(blocks^2) per head. */
export function maskerFromBlockScorer(scorer: BlockScorer): Masker {
  return {
    plan(context) {
      const masks: BlockMask[] = [];
      for (let head = context.heads.start; head < context.heads.end; head++)
        masks.push(selectBlocks(scorer, context, head));
      return masks;
    },
  };
}

function selectBlocks(scorer: BlockScorer, context: MaskerContext, head: number): BlockMask {
  const blocks = Math.ceil(context.q.length / scorer.blockSize);
  const scores = scorer.score(context, head);
  if (scores.length !== blocks * blocks) {
    throw new WinnowError(
      "ERR_PLUGIN_RESULT",
      `Block scores of head ${head} must hold ${blocks} x ${blocks} numbers, got ${scores.length}.`,
    );
  }
  const bits = new Uint8Array(blocks * blocks);
  const row = new Float32Array(blocks);
  for (let a = 0; a < blocks; a++) {
    row.set(scores.subarray(a * blocks, (a + 1) * blocks));
    for (let b = 0; b <= a; b++)
      if (b < scorer.sinkBlocks || a - b < Math.max(1, scorer.recentBlocks)) row[b] = Infinity;
    const kept = context.primitives.topK(row, Math.min(scorer.keepBlocks, a + 1), 0, a + 1);
    for (const b of kept) bits[a * blocks + b] = 1;
    bits[a * blocks + a] = 1;
  }
  return { form: "blocks", blockSize: scorer.blockSize, bits };
}
