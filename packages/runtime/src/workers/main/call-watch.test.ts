import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { announceCallsOn, createCallBoard, enterCall, leaveCall, runningCalls } from "../../registry/plugin-calls.js";
import { type CallLimits, watchCalls } from "./call-watch.js";

let board: SharedArrayBuffer;
beforeEach(() => {
  board = createCallBoard();
  announceCallsOn(board);
});

const names = () => runningCalls(board).map(({ plugin, call }) => `${plugin} ${call}`);

/** Any options will do. */
const noGrowth = { option: "pluginCallMegabytes", value: 0 };
const seconds = (value: number): CallLimits => ({
  seconds: () => ({ option: "pluginCallSeconds", value }),
  growth: noGrowth,
});

describe("runningCalls", () => {
  test("runningCalls names the calls that have begun and not ended, outermost first", () => {
    enterCall("outer", "plan");
    enterCall("inner", "survey.combine");
    expect(names()).toEqual(["outer plan", "inner survey.combine"]);
    leaveCall();
    expect(names()).toEqual(["outer plan"]);
    leaveCall();
    expect(names()).toEqual([]);
  });

  test("runningCalls tells two calls of the same name apart", () => {
    enterCall("a", "plan");
    const [first] = runningCalls(board);
    leaveCall();
    enterCall("a", "plan");
    expect(runningCalls(board)[0].serial).not.toBe(first.serial);
  });

  test("runningCalls leaves out calls deeper than the board, and finds back to the others", () => {
    for (let level = 0; level < 20; level++) enterCall(`p${level}`, "plan");
    expect(names()).toEqual(Array.from({ length: 8 }, (_, level) => `p${level} plan`));
    for (let level = 0; level < 19; level++) leaveCall();
    expect(names()).toEqual(["p0 plan"]);
  });

  test("runningCalls cuts a name that is longer than its place", () => {
    enterCall("p", "x".repeat(2000));
    expect(names()).toEqual([`p ${"x".repeat(1022)}`]);
  });
});

describe("watchCalls", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("watchCalls reports a call that lasts longer than its limit, once", () => {
    const onExpired = vi.fn();
    const watch = watchCalls(board, seconds(10), onExpired);
    enterCall("slow", "plan");
    vi.advanceTimersByTime(10_000);
    expect(onExpired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(20_000);
    expect(onExpired).toHaveBeenCalledTimes(1);
    expect(watch.expired).toMatchObject({ plugin: "slow", call: "plan", took: "time", limit: 10 });
  });

  test("watchCalls counts each call alone, however many there are", () => {
    const onExpired = vi.fn();
    watchCalls(board, seconds(10), onExpired);
    for (let call = 0; call < 10; call++) {
      enterCall("quick", "select");
      vi.advanceTimersByTime(8000);
      leaveCall();
    }
    expect(onExpired).not.toHaveBeenCalled();
  });

  test("watchCalls blames the plugin inside that hangs, not the one that called it", () => {
    const watch = watchCalls(board, seconds(10), () => {});
    enterCall("outer", "plan");
    vi.advanceTimersByTime(3000);
    enterCall("inner", "plan");
    vi.advanceTimersByTime(10_000);
    expect(watch.expired?.plugin).toBe("inner");
  });

  test("watchCalls blames the plugin that calls another one without end", () => {
    const watch = watchCalls(board, seconds(10), () => {});
    enterCall("outer", "plan");
    for (let second = 0; second < 12; second++) {
      enterCall("inner", "plan");
      vi.advanceTimersByTime(1000);
      leaveCall();
    }
    expect(watch.expired?.plugin).toBe("outer");
  });

  test("watchCalls with a limit of 0 lets a call last", () => {
    const onExpired = vi.fn();
    watchCalls(board, seconds(0), onExpired);
    enterCall("slow", "plan");
    vi.advanceTimersByTime(1e6);
    expect(onExpired).not.toHaveBeenCalled();
  });

  test("watchCalls gives each call the limit of its own", () => {
    const limits: CallLimits = {
      seconds: ({ call }) => (call === "tune" ? { option: "tuneSeconds", value: 1000 } : { option: "b", value: 10 }),
      growth: noGrowth,
    };
    const watch = watchCalls(board, limits, () => {});
    enterCall("search", "tune");
    vi.advanceTimersByTime(100_000);
    expect(watch.expired).toBeUndefined();
    enterCall("kernels", "linear");
    vi.advanceTimersByTime(20_000);
    expect(watch.expired).toMatchObject({ plugin: "kernels", option: "b", limit: 10 });
  });

  test("watchCalls no longer looks after stop", () => {
    const onExpired = vi.fn();
    const watch = watchCalls(board, seconds(1), onExpired);
    enterCall("slow", "plan");
    watch.stop();
    vi.advanceTimersByTime(1e6);
    expect(onExpired).not.toHaveBeenCalled();
  });

  /** Watches the memory of an imagined process that uses 1000 MB at first; a look takes place after each change. */
  function watchGrowth(value: number | "auto", freeMegabytes = 0) {
    let used = 1000;
    const memory = { used: () => used * 2 ** 20, free: () => freeMegabytes * 2 ** 20 };
    const limits: CallLimits = { ...seconds(0), growth: { option: "pluginCallMegabytes", value } };
    const watch = watchCalls(board, limits, () => {}, memory);
    const grow = (megabytes: number) => {
      used += megabytes;
      vi.advanceTimersByTime(100);
    };
    return { watch, grow };
  }

  test("watchCalls reports a call during which the process grows by more than the limit", () => {
    const { watch, grow } = watchGrowth(50);
    enterCall("greedy", "plan");
    grow(20);
    grow(30);
    expect(watch.expired).toBeUndefined();
    grow(1);
    expect(watch.expired).toMatchObject({ plugin: "greedy", call: "plan", took: "memory", limit: 50 });
  });

  test("watchCalls counts what the process grew by since the look before a call", () => {
    const { watch, grow } = watchGrowth(50);
    enterCall("greedy", "plan");
    grow(51);
    expect(watch.expired?.plugin).toBe("greedy");
  });

  test("watchCalls does not count what the process grew by between calls", () => {
    const { watch, grow } = watchGrowth(50);
    for (let call = 0; call < 5; call++) {
      grow(40);
      enterCall("modest", "plan");
      grow(40);
      leaveCall();
    }
    grow(400);
    expect(watch.expired).toBeUndefined();
  });

  test("watchCalls blames the plugin inside that takes the memory, and the one around for what it takes itself", () => {
    const inner = watchGrowth(50);
    enterCall("outer", "plan");
    inner.grow(10);
    enterCall("inner", "plan");
    inner.grow(45);
    expect(inner.watch.expired?.plugin).toBe("inner");
    leaveCall();
    leaveCall();
    const outer = watchGrowth(50);
    enterCall("outer", "plan");
    outer.grow(40);
    enterCall("inner", "plan");
    outer.grow(11);
    expect(outer.watch.expired?.plugin).toBe("outer");
  });

  test("watchCalls with auto lets a call take three quarters of what was free when it began", () => {
    const { watch, grow } = watchGrowth("auto", 1000);
    enterCall("greedy", "plan");
    grow(0);
    grow(749);
    expect(watch.expired).toBeUndefined();
    grow(2);
    expect(watch.expired).toMatchObject({ took: "memory", limit: 750 });
  });
});
