import { describe, expect, it } from "vitest";
import { spreadOf } from "./measure.js";
import { weightsRows } from "./weights-summary.js";

const bitmapTarget = { of: "byte ratio", atLeast: 0.85 } as const;
const channelsTarget = { of: "dense bf16", atLeast: 1.7 } as const;

describe("weightsRows", () => {
  const rows = weightsRows([
    { name: "plain read", bytes: 1000, milliseconds: spreadOf([1, 2]) },
    { name: "onnx int4", bytes: 250, milliseconds: spreadOf([3, 6]) },
    { name: "dense bf16", over: "bf16", bytes: 1000, milliseconds: spreadOf([10, 20]) },
    { name: "dense int8", over: "int8", bytes: 500, milliseconds: spreadOf([5, 10]) },
    { name: "half", over: "bf16", target: bitmapTarget, bytes: 500, milliseconds: spreadOf([6, 12]) },
    { name: "fast half", over: "bf16", target: bitmapTarget, bytes: 500, milliseconds: spreadOf([5.8, 11.6]) },
    { name: "int8 half", over: "int8", target: bitmapTarget, bytes: 250, milliseconds: spreadOf([2.5, 5]) },
    { name: "channels", over: "bf16", target: channelsTarget, bytes: 500, milliseconds: spreadOf([5, 10]) },
  ]);
  const row = (name: string) => rows.find((candidate) => candidate.name === name)!;

  it("weightsRows compares with the dense weight of the same type, round by round", () => {
    expect(row("half").dense).toMatchObject({ byteRatio: 2, speedup: { samples: [10 / 6, 20 / 12] } });
    expect(row("int8 half").dense).toMatchObject({ byteRatio: 2, speedup: { median: 2 }, reached: 1 });
  });

  it("weightsRows gives baselines no ratio to themselves, but to int4", () => {
    expect(row("dense bf16").dense).toBeUndefined();
    expect(row("dense bf16").overInt4!.samples).toEqual([0.3, 0.3]);
    expect(row("onnx int4").overInt4).toBeUndefined();
  });

  it("a target on the byte ratio is a share of it, one on dense a speed-up", () => {
    expect(row("half").target).toMatchObject({ reached: 10 / 12, met: false });
    expect(row("fast half").target).toMatchObject({ reached: 10 / 5.8 / 2, met: true });
    expect(row("int8 half").target).toMatchObject({ reached: 1, met: true });
    expect(row("channels").target).toMatchObject({ reached: 2, met: true });
  });

  it("GB/s are bytes over the median time", () => {
    expect(row("plain read").gigabytesPerSecond).toBeCloseTo(1000 / 1.5 / 1e6, 12);
  });
});
