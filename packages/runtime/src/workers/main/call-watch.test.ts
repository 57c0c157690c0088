import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { announceCallsOn, createCallBoard, enterCall, leaveCall, runningCalls } from "../../registry/plugin-calls.js";
import { watchCalls } from "./call-watch.js";

let board: SharedArrayBuffer;
beforeEach(() => {
  board = createCallBoard();
  announceCallsOn(board);
});

const names = () => runningCalls(board).map(({ plugin, call }) => `${plugin} ${call}`);

/** Any option will do. */
const seconds = (limit: number) => ({ option: "pluginCallSeconds", seconds: limit });

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
    enterCall("p", "x".repeat(1000));
    expect(names()).toEqual([`p ${"x".repeat(254)}`]);
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
    expect(watch.expired).toMatchObject({ plugin: "slow", call: "plan" });
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
    vi.advanceTimersByTime(1e9);
    expect(onExpired).not.toHaveBeenCalled();
  });

  test("watchCalls no longer looks after stop", () => {
    const onExpired = vi.fn();
    const watch = watchCalls(board, seconds(1), onExpired);
    enterCall("slow", "plan");
    watch.stop();
    vi.advanceTimersByTime(1e6);
    expect(onExpired).not.toHaveBeenCalled();
  });
});
