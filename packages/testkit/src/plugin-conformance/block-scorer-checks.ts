import type { BlockScorer } from "@winnow/core";
import { attempt, type ConformanceCheck, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { maskerContext } from "./masker-run.js";
import { makePrompt } from "./prompts.js";

/** Rules for the small form of a masker, before `core` makes masks of its scores. */
export function blockScorerChecks(maker: Maker): ConformanceCheck[] {
  return [
    {
      id: "block-counts",
      title: "block size and numbers of blocks are whole and in range",
      clause: "masker.ts: BlockScorer",
      run: async () => checkCounts(maker),
    },
    {
      id: "block-scores",
      title: "score returns one number per pair of blocks, none of them NaN",
      clause: "masker.ts: BlockScorer.score",
      run: async () => checkScores(maker),
    },
  ];
}

function checkCounts(maker: Maker): undefined {
  const scorer = maker.create() as BlockScorer;
  const lowest = { blockSize: 1, keepBlocks: 1, sinkBlocks: 0, recentBlocks: 1 };
  for (const [name, least] of Object.entries(lowest)) {
    const value = scorer[name as keyof typeof lowest];
    requireThat(Number.isInteger(value) && value >= least, `${name} to be a whole number >= ${least}`, `${value}`);
  }
}

function checkScores(maker: Maker): undefined {
  const scorer = maker.create() as BlockScorer;
  for (const n of [1, 7, 131, 200]) {
    const context = maskerContext(makePrompt({ name: `${n} tokens`, n }), {});
    const blocks = Math.ceil(n / scorer.blockSize);
    for (let head = 0; head < context.heads.end; head++) {
      const scores = attempt(`scores of head ${head} for ${n} tokens`, () => scorer.score(context, head));
      requireThat(scores instanceof Float32Array, "score to return a Float32Array", () => typeof scores);
      requireThat(scores.length === blocks ** 2, `${blocks} x ${blocks} scores for ${n} tokens`, `${scores.length}`);
      const bad = scores.findIndex((score, e) => e % blocks <= Math.floor(e / blocks) && Number.isNaN(score));
      requireThat(
        bad < 0,
        `numbers for ${n} tokens`,
        () => `NaN for blocks (${Math.floor(bad / blocks)}, ${bad % blocks})`,
      );
    }
  }
}
