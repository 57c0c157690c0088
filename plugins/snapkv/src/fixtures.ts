import {
  type Fixture,
  type FixtureRunner,
  headsFirst,
  keepBest,
  type Operations,
  type PrefillEndContext,
  prunerFromEvictScorer,
} from "@winnow/core";
import type { SnapKvOptions } from "./options.js";
import { groupScores, headVotes, snapKv } from "./snapkv.js";

const runners = { original: runOriginal, kvpress: runKvpress };

export const fixtures: FixtureRunner = {
  kinds: Object.keys(runners),
  run: (fixture, operations) => runners[fixture.kind as keyof typeof runners](fixture, operations),
};

/** The original selects per query head: the same votes, without the mean over the group. */
function runOriginal(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { window, capacity, kernel } = fixture.params as Record<string, number>;
  const options = { poolKernel: kernel, pooling: fixture.params.pooling === "maxpool" ? "max" : "avg" } as const;
  const context = contextOf(fixture, operations);
  const { heads } = context.q;
  const { length } = context.k;
  if (length < capacity) return { "out.kept": Int32Array.from({ length: heads * length }, (_, i) => i % length) };

  const earlier = length - window;
  const votes = new Float32Array(heads * earlier);
  const padded = new Float32Array(heads * length);
  for (let head = 0; head < heads; head++) {
    const row = headVotes(context, head, Math.floor(head / (heads / context.k.heads)), options);
    votes.set(row, head * earlier);
    padded.set(row, head * length);
  }
  const forced = { sinkTokens: 0, recentTokens: window };
  const kept = keepBest(padded, heads, length, capacity, forced, operations);
  return { "mid.scores": votes, "out.kept": kept.indices };
}

/** kvpress: budget by share, mean over the group, mean over the window's queries, and max + 1 for the window itself. */
function runKvpress(fixture: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { window, ratio, kernel, n, hkv } = fixture.params as Record<string, number>;
  const options: SnapKvOptions = {
    keepRatio: 1 - ratio,
    observationWindow: window,
    poolKernel: kernel,
    pooling: "avg",
  };
  const context = contextOf(fixture, operations);
  const kept = prunerFromEvictScorer(snapKv(options)).afterPrefill!(context, null)!;

  const means = groupScores(context, options).map((sum) => sum / window);
  const above = means.reduce((a, b) => Math.max(a, b)) + 1;
  for (let head = 0; head < hkv; head++) means.fill(above, (head + 1) * n - window, (head + 1) * n);
  return { "mid.scores": means, "out.kept": kept.indices };
}

function contextOf({ params, tensors }: Fixture, primitives: Operations): PrefillEndContext {
  const { h, hkv, n, d, window } = params as Record<string, number>;
  const data = (name: string) => tensors.get(name)!.data as Float32Array;
  return {
    model: { layers: 1, queryHeads: h, kvHeads: hkv, headDim: d, contextLength: n },
    layer: 0,
    q: headsFirst(data("in.q_window"), h, window, d),
    k: headsFirst(data("in.k"), hkv, n, d),
    v: headsFirst(data("in.v"), hkv, n, d),
    scale: 1 / Math.sqrt(d),
    primitives,
  };
}
