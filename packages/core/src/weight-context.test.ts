import { describe, expect, it } from "vitest";
import type { DenseWeight } from "./linear-weight.js";
import type { FloatData } from "./tensor.js";
import { finiteWeights, statisticOf } from "./weight-context.js";
import type { WeightContext } from "./weight-sparsifier.js";

const place = { layer: 2, projection: "o_proj" } as const;

function weightOf(data: FloatData): DenseWeight {
  const dtype = data instanceof Float32Array ? "f32" : "bf16";
  return { format: "dense", dtype, outFeatures: data.length / 2, inFeatures: 2, data };
}

const contextOf = (statistics: object) =>
  ({ ...place, weight: weightOf(new Float32Array(4)), statistics }) as unknown as WeightContext;

describe("finiteWeights", () => {
  it("gives float32 values of f32 as they are and of bf16 widened", () => {
    const values = Float32Array.of(1, -0, 3, 4);
    expect(finiteWeights(place, weightOf(values))).toBe(values);
    expect(finiteWeights(place, weightOf(Uint16Array.of(0x3f80, 0x8000, 0xc000, 1)))).toEqual(
      Float32Array.of(1, -0, -2, 2 ** -133),
    );
  });

  it.each([
    ["NaN", Float32Array.of(1, 2, 3, Number.NaN), "o_proj of layer 2: weight (1, 1) is NaN"],
    ["infinity", Uint16Array.of(0xff80, 0), "weight (0, 0) is -Infinity"],
  ])("refuses %s with its place", (_, data, message) => {
    expect(() => finiteWeights(place, weightOf(data))).toThrow(expect.objectContaining({ code: "ERR_MODEL_TENSOR" }));
    expect(() => finiteWeights(place, weightOf(data))).toThrow(message);
  });
});

describe("statisticOf", () => {
  it("gives a statistic of one number per input, and the Hessian of one per pair", () => {
    const [mean, hessian] = [Float32Array.of(1, 2), new Float32Array(4)];
    expect(statisticOf(contextOf({ mean }), "mean")).toBe(mean);
    expect(statisticOf(contextOf({ hessian }), "hessian")).toBe(hessian);
  });

  it.each([
    ["an absent one", {}, '"hessian" is absent'],
    ["another size", { hessian: new Float32Array(2) }, "holds 2 numbers, expected 4"],
    ["NaN", { hessian: Float32Array.of(0, Number.NaN, 0, 0) }, "is NaN at 1"],
  ])("refuses %s", (_, statistics, message) => {
    const read = () => statisticOf(contextOf(statistics), "hessian");
    expect(read).toThrow(expect.objectContaining({ code: "ERR_CALIBRATION" }));
    expect(read).toThrow(message);
  });
});
