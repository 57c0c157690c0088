import { channelsWeight, type DenseWeight, type GatedRowsWeight, gatedRowsWeight } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();

/** [[1, 2], [3, 4], [5, 6]] */
const dense: DenseWeight = {
  format: "dense",
  dtype: "f32",
  outFeatures: 3,
  inFeatures: 2,
  data: Float32Array.of(1, 2, 3, 4, 5, 6),
  bias: Float32Array.of(10, 20, 30),
};

describe("gatedLinear", () => {
  it("relu gates (-1, 2, 3): rows above threshold 2 are computed and scaled, two weights and a bias are read", () => {
    const weight = gatedRowsWeight(dense, "f32", { rule: "threshold", thresholds: Float32Array.of(2) });
    const [gate, out] = [Float32Array.of(-1, 2, 3), new Float32Array(3)];
    expect(reference.gatedLinear(Float32Array.of(1, 10), gate, weight, "relu", out)).toBe(2 * 4 + 4);
    expect([...gate]).toEqual([0, 2, 3]);
    expect([...out]).toEqual([0, 0, 3 * (5 + 60 + 30)]);
  });

  it("another format is refused", () => {
    const call = () =>
      reference.gatedLinear(
        new Float32Array(2),
        new Float32Array(3),
        dense as unknown as GatedRowsWeight,
        "relu",
        new Float32Array(3),
      );
    expect(call).toThrow(
      expect.objectContaining({
        code: "ERR_OPERATION_ARGUMENT",
        message: expect.stringMatching(/weight.format must be "gated-rows"/),
      }),
    );
  });
});

describe("linear of channels", () => {
  const lowRank = { rank: 1, dtype: "f32", inputs: Float32Array.of(1, 2), outputs: Float32Array.of(1, 0, -1) } as const;

  it("x = (1, 10) above 5: channel 1 by the matrix, channel 0 by its factors", () => {
    const weight = channelsWeight(dense, "f32", { rule: "threshold", thresholds: Float32Array.of(5) }, lowRank);
    const out = new Float32Array(3);
    const bytes = reference.linear(Float32Array.of(1, 10), 1, weight, out, false, 1);
    expect([...out]).toEqual([20 + 1 + 10, 40 + 20, 60 - 1 + 30]);
    // One channel, one row of inputs, all outputs, the bias.
    expect(bytes).toBe(12 + 4 + 12 + 12);
  });

  it("factors are not read when nothing remains", () => {
    const weight = channelsWeight(dense, "f32", { rule: "largest", keep: 1 }, lowRank);
    const out = new Float32Array(3);
    expect(reference.linear(Float32Array.of(0, 10), 1, weight, out, false, 1)).toBe(12 + 12);
  });

  it("NaN in x is selected by every rule, so that it is seen in the result", () => {
    for (const selection of [
      { rule: "threshold", thresholds: Float32Array.of(5) },
      { rule: "largest", keep: 1 },
    ] as const) {
      const out = new Float32Array(3);
      reference.linear(Float32Array.of(Number.NaN, 10), 1, channelsWeight(dense, "f32", selection), out, false, 1);
      expect([...out]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    }
  });
});
