import { type RunningCall, runningCalls } from "../../registry/plugin-calls.js";

/** Looks at the board of a task this often, or ten times per limit, whichever is more often. */
const LONGEST_INTERVAL_MS = 1000;

/** An option under `limits` and its value; 0: no limit. */
export interface CallLimit {
  readonly option: string;
  readonly seconds: number;
}

export interface CallWatch {
  readonly limit: CallLimit;
  /** The call that took too long, once one has. */
  readonly expired: RunningCall | undefined;
  stop(): void;
}

/**
 * Watches the plugin calls of one task and calls `onExpired` once if one lasts longer than the limit. Where calls are inside one
 * another, blames the innermost that has lasted at least half as long: an outer call is slow because of it.
 */
export function watchCalls(board: SharedArrayBuffer, limit: CallLimit, onExpired: () => void): CallWatch {
  const watch = { limit, expired: undefined as RunningCall | undefined, stop: () => clearInterval(timer) };
  const milliseconds = 1000 * limit.seconds;
  let firstSeen = new Map<number, number>();
  const look = () => {
    const now = performance.now();
    const calls = runningCalls(board);
    firstSeen = new Map(calls.map(({ serial }) => [serial, firstSeen.get(serial) ?? now]));
    const lasting = (share: number) =>
      calls.filter(({ serial }) => now - firstSeen.get(serial)! > share * milliseconds);
    if (lasting(1).length === 0) return;
    watch.expired = lasting(0.5).at(-1);
    watch.stop();
    onExpired();
  };
  const timer = milliseconds > 0 ? setInterval(look, Math.min(LONGEST_INTERVAL_MS, milliseconds / 10)) : undefined;
  return watch;
}
