import type { DenseWeight, errorCodes, Operations } from "@winnow/core";
import { describePlugin, dotTolerance, expectClose, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { denseLinear } from "./dense-linear.js";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract; among them: the same results as the reference kernels.
describePlugin(plugin);

const { packWeight, linear } = denseLinear().operations as Operations;

const matrix = (rows: number, columns: number, seed: number) => {
  const random = new Seeded(seed);
  return Array.from({ length: rows }, () => Array.from(random.normals(columns)));
};

const absolute = (rows: number[][]) => rows.map((row) => row.map(Math.abs));

function dense(weight: number[][], bias: number[]): DenseWeight {
  const [outFeatures, inFeatures] = [weight.length, weight[0].length];
  const data = Float32Array.from(weight.flat());
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data, bias: Float32Array.from(bias) };
}

describe("__ID__", () => {
  it.each([
    [1, 1, 1],
    [2, 3, 5],
    [3, 17, 64],
    [5, 33, 131],
  ])("x W^T + b of %i rows with a %i x %i matrix equals the oracle", (rows, outFeatures, inFeatures) => {
    const [x, weight] = [matrix(rows, inFeatures, 1), matrix(outFeatures, inFeatures, 2)];
    const [bias] = matrix(1, outFeatures, 3);
    const out = new Float32Array(rows * outFeatures);
    linear(Float32Array.from(x.flat()), rows, packWeight(dense(weight, bias), "f32"), out);
    const magnitude = Math.max(...oracle(absolute(x), absolute(weight), absolute([bias])[0]).flat());
    expectClose(out, oracle(x, weight, bias).flat(), dotTolerance("f32", inFeatures + 1, magnitude));
  });

  it("accumulate adds to what is there", () => {
    const out = Float32Array.of(100);
    linear(Float32Array.of(1, 2), 1, packWeight(dense([[3, 4]], [5]), "f32"), out, true);
    expect(out[0]).toBe(116);
  });

  it("refuses an output that is too small", () => {
    const code: keyof typeof errorCodes = "ERR_OPERATION_ARGUMENT";
    const weight = packWeight(dense([[3, 4]], [5]), "f32");
    expect(() => linear(Float32Array.of(1, 2), 1, weight, new Float32Array(0))).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
