import { type Fixture, type FixtureRunner, headsFirst, type Operations } from "@winnow/core";
import { evictAfterStep, evictByRatio, evictForSpace } from "./evict.js";
import { runStream } from "./stream.js";
import { streamingLlm } from "./streaming-llm.js";

/** Lists of unequal length as the fixtures store them. */
function joined(lists: readonly ArrayLike<number>[]): Record<string, number[]> {
  const offsets = [0];
  for (const list of lists) offsets.push(offsets[offsets.length - 1] + list.length);
  return { "out.kept": lists.flatMap((list) => Array.from(list)), "out.offsets": offsets };
}

/** Rows of sinkTokens, recentTokens, cache length, incoming tokens (-1: the cut after a step). */
function runEvict({ params }: Fixture): Record<string, ArrayLike<number>> {
  const lists = (params.rows as number[][]).map(([sinkTokens, recentTokens, length, incoming]) => {
    const window = { sinkTokens, recentTokens };
    const kept = incoming < 0 ? evictAfterStep(length, window) : evictForSpace(length, incoming, window);
    return kept ?? Int32Array.from({ length }, (_, i) => i);
  });
  return joined(lists);
}

/** Rows of prompt length, removed share, sinkTokens. */
function runPress({ params }: Fixture): Record<string, ArrayLike<number>> {
  return joined(
    (params.press_rows as number[][]).map(([length, removed, sinks]) => evictByRatio(length, removed, sinks)),
  );
}

function runStreamFixture({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { h, hkv, n, d, sinks, recent, block } = params as Record<string, number>;
  const part = (name: string, heads: number) => headsFirst(tensors.get(name)!.data as Float32Array, heads, n, d);
  const inputs = { q: part("in.q", h), k: part("in.k", hkv), v: part("in.v", hkv) };
  const pruner = streamingLlm({ sinkTokens: sinks, recentTokens: recent, positions: "cache" });
  const { output, kept } = runStream(pruner, inputs, block, operations);
  return { ...joined(kept), "out.o": output.data };
}

const runners = { evict: runEvict, press: runPress, stream: runStreamFixture };

export const fixtures: FixtureRunner = {
  kinds: Object.keys(runners),
  run: (fixture, operations) => runners[fixture.kind as keyof typeof runners](fixture, operations),
};
