import { type RunningCall, runningCalls } from "../../registry/plugin-calls.js";

/** Looks at the board of a task this often, or ten times per limit, whichever is more often: often enough that memory does not run away between two looks. */
const LONGEST_INTERVAL_MS = 100;

/** An option under `limits` and its value; 0: no limit. */
export interface CallLimit {
  readonly option: string;
  readonly value: number;
}

/** What the plugin calls of one task may take. */
export interface CallLimits {
  /** Limit of each call, in seconds. */
  seconds(call: RunningCall): CallLimit;
  /** Megabytes that the process may grow by while a call runs; `auto`: see {@link AUTO_SHARE}. */
  readonly growth: { readonly option: string; readonly value: number | "auto" };
}

/** Of the memory that is free when a call begins, `auto` lets it take this share. */
const AUTO_SHARE = 0.75;

/** What the process uses and what the machine, or its container, has left, in bytes. */
export interface Memory {
  used(): number;
  free(): number;
}

const processMemory: Memory = { used: () => process.memoryUsage.rss(), free: () => process.availableMemory() };

/** A call that took more than its limit. */
export interface ExpiredCall extends RunningCall {
  readonly took: "time" | "memory";
  readonly option: string;
  /** Seconds or megabytes. */
  readonly limit: number;
}

export interface CallWatch {
  /** The call that took too much, once one has. */
  readonly expired: ExpiredCall | undefined;
  stop(): void;
}

interface SeenCall extends RunningCall {
  readonly since: number;
  /** Bytes that the process used before the call was seen. */
  readonly usedBefore: number;
  readonly growth: number;
}

/**
 * Watches the plugin calls of one task and calls `onExpired` once if one takes more time or memory than its limit. Where calls are inside one another,
 * blames the innermost that took at least half of that: an outer call is slow because of it. Memory is that of the process: calls of different workers
 * cannot be told apart.
 */
export function watchCalls(
  board: SharedArrayBuffer,
  limits: CallLimits,
  onExpired: () => void,
  memory: Memory = processMemory,
): CallWatch {
  const watch = { expired: undefined as ExpiredCall | undefined, stop: () => clearTimeout(timer) };
  let seen: readonly SeenCall[] = [];
  let usedBefore = memory.used();
  const look = () => {
    const now = performance.now();
    const used = memory.used();
    seen = runningCalls(board).map(
      (call) => seen.find(({ serial }) => serial === call.serial) ?? firstSight(call, { now, used, usedBefore }),
    );
    usedBefore = used;
    watch.expired = overTime(seen, limits, now) ?? overGrowth(seen, limits, used);
    if (watch.expired) onExpired();
    else timer = setTimeout(look, interval());
  };
  const firstSight = (call: RunningCall, at: { now: number; used: number; usedBefore: number }): SeenCall => {
    const { value } = limits.growth;
    const growth = value === "auto" ? AUTO_SHARE * (memory.free() + at.used - at.usedBefore) : value * MEGABYTE;
    return { ...call, since: at.now, usedBefore: at.usedBefore, growth };
  };
  const interval = () => {
    const milliseconds = seen.map((call) => 1000 * limits.seconds(call).value).filter((limit) => limit > 0);
    return Math.min(LONGEST_INTERVAL_MS, ...milliseconds.map((limit) => limit / 10));
  };
  let timer = setTimeout(look, LONGEST_INTERVAL_MS);
  return watch;
}

const MEGABYTE = 2 ** 20;

function overTime(seen: readonly SeenCall[], limits: CallLimits, now: number): ExpiredCall | undefined {
  for (const call of seen) {
    const { option, value } = limits.seconds(call);
    if (value === 0 || now - call.since <= 1000 * value) continue;
    const { serial, plugin, call: name } = seen.filter(({ since }) => now - since > 500 * value).at(-1)!;
    return { serial, plugin, call: name, took: "time", option, limit: value };
  }
  return undefined;
}

function overGrowth(seen: readonly SeenCall[], { growth }: CallLimits, used: number): ExpiredCall | undefined {
  const over = seen.find((call) => call.growth > 0 && used - call.usedBefore > call.growth);
  if (!over) return undefined;
  const { serial, plugin, call } = seen.filter(({ usedBefore }) => used - usedBefore > over.growth / 2).at(-1)!;
  return { serial, plugin, call, took: "memory", option: growth.option, limit: Math.round(over.growth / MEGABYTE) };
}
