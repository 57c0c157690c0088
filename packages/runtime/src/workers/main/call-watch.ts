import { type RunningCall, runningCalls } from "../../registry/plugin-calls.js";

/** Looks at the board of a task this often, or ten times per limit, whichever is more often. */
const LONGEST_INTERVAL_MS = 1000;

export interface CallWatch {
  /** The call that took too long, once one has. */
  readonly expired: RunningCall | undefined;
  stop(): void;
}

/**
 * Watches the plugin calls of one task and calls `onExpired` once if one lasts longer than `seconds` (0: never). Where calls are inside one
 * another, blames the innermost that has lasted at least half as long: an outer call is slow because of it.
 */
export function watchCalls(board: SharedArrayBuffer, seconds: number, onExpired: () => void): CallWatch {
  const watch = { expired: undefined as RunningCall | undefined, stop: () => clearInterval(timer) };
  const limit = 1000 * seconds;
  let firstSeen = new Map<number, number>();
  const look = () => {
    const now = performance.now();
    const calls = runningCalls(board);
    firstSeen = new Map(calls.map(({ serial }) => [serial, firstSeen.get(serial) ?? now]));
    const lasting = (share: number) => calls.filter(({ serial }) => now - firstSeen.get(serial)! > share * limit);
    if (lasting(1).length === 0) return;
    watch.expired = lasting(0.5).at(-1);
    watch.stop();
    onExpired();
  };
  const timer = limit > 0 ? setInterval(look, Math.min(LONGEST_INTERVAL_MS, limit / 10)) : undefined;
  return watch;
}
