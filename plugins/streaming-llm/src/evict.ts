/** What stays in the cache: the first `sinkTokens` and the last `recentTokens`. */
export interface SinkWindow {
  readonly sinkTokens: number;
  readonly recentTokens: number;
}

/**
 * Cache indices that stay of `length` tokens after a step, ascending; undefined: all.
 * Source: `StartRecentKVCache.__call__` of the reference.
 */
export function evictAfterStep(length: number, window: SinkWindow): Int32Array | undefined {
  return evictForSpace(length, 0, window);
}

/**
 * Cache indices that stay so that `incoming` more tokens fit, ascending; undefined: all. With more incoming than recent tokens only the
 * sinks stay; the incoming tokens themselves are never cut.
 * Source: `StartRecentKVCache.evict_for_space` of the reference.
 */
export function evictForSpace(length: number, incoming: number, window: SinkWindow): Int32Array | undefined {
  const { sinkTokens, recentTokens } = window;
  if (length + incoming <= sinkTokens + recentTokens) return undefined;
  return firstAndLast(length, sinkTokens, Math.max(0, recentTokens - incoming));
}

/**
 * Positions that stay of a prompt of `length` tokens when `removedRatio` of it is dropped behind the sinks: floor(length * (1 - removedRatio)).
 * With fewer places than sinks the first ones stay.
 * Source: `StreamingLLMPress` of NVIDIA/kvpress@8bb29b9.
 */
export function evictByRatio(length: number, removedRatio: number, sinkTokens: number): Int32Array {
  const kept = Math.floor(length * (1 - removedRatio));
  const sinks = Math.min(sinkTokens, kept);
  return firstAndLast(length, sinks, kept - sinks);
}

function firstAndLast(length: number, first: number, last: number): Int32Array {
  const sinks = Math.min(first, length);
  const recentStart = Math.max(sinks, length - last);
  return Int32Array.from({ length: sinks + length - recentStart }, (_, i) => (i < sinks ? i : recentStart + i - sinks));
}
