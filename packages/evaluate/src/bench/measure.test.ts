import { describe, expect, it } from "vitest";
import { differenceOf, interleave, ratioOf, roundOrder, spreadOf } from "./measure.js";

describe("spreadOf", () => {
  it("spreadOf gives the middle value of an odd number of samples, whatever their order", () => {
    expect(spreadOf([9, 1, 4])).toEqual({ median: 4, min: 1, max: 9, samples: [9, 1, 4] });
  });

  it("spreadOf gives the mean of the two middle values of an even number of samples", () => {
    expect(spreadOf([8, 1, 4, 2]).median).toBe(3);
  });

  it("spreadOf of one sample is that sample", () => {
    expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7, samples: [7] });
  });
});

describe("ratioOf", () => {
  it("ratioOf divides round by round, so that a slow round does not spread the ratio", () => {
    expect(ratioOf(spreadOf([2, 20, 2]), spreadOf([1, 10, 1]))).toEqual({
      median: 2,
      min: 2,
      max: 2,
      samples: [2, 2, 2],
    });
  });
});

describe("differenceOf", () => {
  it("differenceOf subtracts round by round", () => {
    expect(differenceOf(spreadOf([3, 30, 5]), spreadOf([1, 10, 2]))).toEqual(spreadOf([2, 20, 3]));
  });
});

describe("roundOrder", () => {
  it("roundOrder turns the order around in every other round", () => {
    expect([0, 1, 2].map((round) => roundOrder(["a", "b"], round).join(""))).toEqual(["ab", "ba", "ab"]);
  });
});

describe("interleave", () => {
  it("interleave runs all variants in every round and measures none of the warm-up", async () => {
    const ran: string[] = [];
    let time = 0;
    const run = (name: string, costs: number[]) => () => {
      ran.push(name);
      time += costs.shift()!;
    };
    const spreads = await interleave(
      { a: run("a", [1000, 1, 2]), b: run("b", [1000, 10, 30]) },
      { repeat: 2, warmUp: 1 },
      () => time,
    );
    expect(ran).toEqual(["a", "b", "b", "a", "a", "b"]);
    expect(spreads.a.samples).toEqual([1, 2]);
    expect(spreads.b).toEqual({ median: 20, min: 10, max: 30, samples: [10, 30] });
  });

  it("interleave waits for asynchronous variants", async () => {
    let time = 0;
    const slow = async () => {
      await Promise.resolve();
      time += 5;
    };
    expect((await interleave({ slow }, { repeat: 1, warmUp: 0 }, () => time)).slow.samples).toEqual([5]);
  });

  it("interleave reports the share of the runs that are done before each run", async () => {
    const seen: [number, string][] = [];
    const onProgress = (share: number, label: string) => seen.push([share, label]);
    await interleave({ a() {}, b() {} }, { repeat: 1, warmUp: 1, onProgress });
    expect(seen).toEqual([
      [0, "a"],
      [0.25, "b"],
      [0.5, "b"],
      [0.75, "a"],
    ]);
  });

  it("interleave stops before the next run once its signal is aborted, with the signal's reason", async () => {
    const abort = new AbortController();
    const ran: string[] = [];
    const variants = {
      a() {
        ran.push("a");
        abort.abort(new Error("enough"));
      },
      b: () => ran.push("b"),
    };
    await expect(interleave(variants, { repeat: 2, warmUp: 0, signal: abort.signal })).rejects.toThrow("enough");
    expect(ran).toEqual(["a"]);
  });

  it("interleave passes a variant's error on", async () => {
    const fail = () => {
      throw new Error("broken");
    };
    await expect(interleave({ fail }, { repeat: 1, warmUp: 0 })).rejects.toThrow("broken");
  });
});
