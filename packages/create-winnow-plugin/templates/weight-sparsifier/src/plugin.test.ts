import type { DenseWeight } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describePlugin, dotTolerance, expectClose, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracle } from "./oracle.js";

// One test for each rule of the contract.
describePlugin(plugin, { options: { sparsity: 0.4 } });

const operations = createReference();
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };

const absolute = (rows: number[][]) => rows.map((row) => row.map(Math.abs));

/** One token through the matrix that the plugin makes, and the bytes of it that were read. */
function decode(weight: number[][], inputs: Float32Array, x: number[], sparsity: number) {
  const original: DenseWeight = {
    format: "dense",
    dtype: "f32",
    outFeatures: weight.length,
    inFeatures: x.length,
    data: Float32Array.from(weight.flat()),
  };
  const sparse = plugin.create(plugin.options.parse({ sparsity }), model).sparsify({
    layer: 0,
    projection: "up_proj",
    weight: original,
    original,
    statistics: { tokens: inputs.length / x.length, sequences: 1, inputs },
    dtype: "f32",
    operations,
  });
  const y = new Float32Array(weight.length);
  const bytes = operations.linear(Float32Array.from(x), 1, sparse, y, false, 1);
  return { y, bytes };
}

describe("__ID__", () => {
  it.each([
    [1, 1],
    [3, 5],
    [16, 64],
    [33, 65],
  ])("W (x * [|x| > t]) of a %i x %i matrix equals the oracle", (outFeatures, inFeatures) => {
    const random = new Seeded(outFeatures);
    const weight = Array.from({ length: outFeatures }, () => Array.from(random.normals(inFeatures)));
    const inputs = random.normals(20 * inFeatures);
    const x = Array.from(random.normals(inFeatures));
    for (const sparsity of [0, 0.4, 0.9]) {
      const { y } = decode(weight, inputs, x, sparsity);
      const magnitude = Math.max(...oracle(absolute(weight), inputs, x.map(Math.abs), { sparsity }));
      expectClose(y, oracle(weight, inputs, x, { sparsity }), dotTolerance("f32", inFeatures, magnitude));
    }
  });

  it("x = (1, -3, 2, 0) with samples of the same magnitudes and sparsity 0.5 reads the columns of -3 and 2", () => {
    const { y } = decode([[1, 10, 100, 1000]], Float32Array.of(0, 1, 2, 3), [1, -3, 2, 0], 0.5);
    expect(y[0]).toBe(170);
  });

  it("reads fewer bytes where more is skipped", () => {
    const weight = Array.from({ length: 32 }, () => Array.from(new Seeded(1).normals(32)));
    const inputs = new Seeded(2).normals(32);
    const [few, many] = [0.2, 0.8].map((sparsity) => decode(weight, inputs, [...inputs], sparsity).bytes);
    expect(many).toBeLessThan(few);
  });
});
