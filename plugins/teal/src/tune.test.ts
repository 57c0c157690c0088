import {
  type DenseWeight,
  type OtherWeights,
  type Projection,
  projections,
  type TuneContext,
  type TuneWeights,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { activationError, effectiveSparsity, type GreedyStep, greedySearch } from "./greedy.js";
import { oracleAbsoluteThreshold, oracleGreedy, oracleProduct } from "./oracle.js";
import { parseTable } from "./table.js";
import { tuner } from "./tune.js";

const operations = createReference();
const hidden = 6;
const layers = 2;

/** A toy layer, y = x + the sum of all W_p x; k and v have half the outputs. Scale 0 makes a matrix free to skip. */
class ToyModel {
  readonly matrices: DenseWeight[][];

  constructor(scales: readonly number[]) {
    const random = new Seeded(5);
    this.matrices = Array.from({ length: layers }, () =>
      projections.map((name, p) => {
        const outFeatures = name === "k_proj" || name === "v_proj" ? hidden / 2 : hidden;
        const data = random.normals(outFeatures * hidden).map((value) => value * scales[p]);
        return { format: "dense", dtype: "f32", outFeatures, inFeatures: hidden, data };
      }),
    );
  }

  residual(prompt: Int32Array, layer: number): Float32Array {
    return new Seeded(100 * layer + prompt[0]).normals(prompt.length * hidden);
  }

  async runLayer(layer: number, residual: Float32Array, other: OtherWeights, sparseTokens: number) {
    const out = residual.slice();
    const tokens = residual.length / hidden;
    for (const [p, name] of projections.entries()) {
      const weight = other[name] ?? operations.packWeight(this.matrices[layer][p], "f32");
      const y = new Float32Array(tokens * weight.outFeatures);
      operations.linear(residual, tokens, weight, y, false, sparseTokens);
      for (let t = 0; t < tokens; t++)
        for (let o = 0; o < weight.outFeatures; o++) out[t * hidden + o] += y[t * weight.outFeatures + o];
    }
    return out;
  }

  context(prompts: Int32Array[]): TuneContext {
    const weights: TuneWeights = {
      activation: "silu",
      get: (layer: number, name: Projection) =>
        operations.packWeight(this.matrices[layer][projections.indexOf(name)], "f32"),
      residual: async (prompt, layer) => this.residual(prompt, layer),
      inputs: async (prompt, layer) => {
        const x = this.residual(prompt, layer);
        return { attention: x, attentionOutput: x, mlp: x, down: x };
      },
      runLayer: (layer, residual, other, sparseTokens) => this.runLayer(layer, residual, other, sparseTokens),
      perplexity: async () => Number.NaN,
    };
    return {
      model: { layers, queryHeads: 1, kvHeads: 1, headDim: hidden, contextLength: 64 },
      scale: 1,
      operations,
      prompts,
      prefill: async () => {},
      decode: async () => {},
      weights,
      progress: () => {},
    };
  }

  /** Error of a layer by its definition, in float64: last half of the tokens sparse, last quarter counted. */
  oracleError(layer: number, prompts: Int32Array[], shares: readonly number[]): number {
    const inputs = prompts.flatMap((prompt) => Array.from(this.residual(prompt, layer)));
    const thresholds = shares.map((share) => oracleAbsoluteThreshold(inputs, Math.min(share, 1)));
    let error = 0;
    for (const prompt of prompts) {
      const x = this.residual(prompt, layer);
      const sums = new Array(hidden).fill(0);
      for (let t = Math.floor(prompt.length * 0.75); t < prompt.length; t++) {
        const difference = new Array(hidden).fill(0);
        for (const [p, { data, outFeatures }] of this.matrices[layer].entries()) {
          const rows = Array.from({ length: outFeatures }, (_, o) =>
            Array.from(data.subarray(o * hidden, (o + 1) * hidden)),
          );
          const token = Array.from(x.subarray(t * hidden, (t + 1) * hidden));
          const sparse = oracleProduct(rows, token, thresholds[p]);
          for (const [o, value] of oracleProduct(rows, token, -1).entries()) difference[o] += value - sparse[o];
        }
        for (let c = 0; c < hidden; c++) sums[c] += difference[c] ** 2;
      }
      error += sums.reduce((sum, square) => sum + Math.sqrt(square), 0) / hidden / prompts.length;
    }
    return error;
  }
}

const prompts = [new Int32Array(12).fill(1), new Int32Array(9).fill(2)];
const sizes = projections.map((name) => (name === "k_proj" || name === "v_proj" ? 18 : 36));
const scales = [1, 0.3, 2, 0.1, 0.7, 1.5, 0.4];

describe("teal tuner", () => {
  const given = { step: 0.2, sparsity: 0.4 };

  it("allocates as the greedy search by its definition does, layer by layer", async () => {
    const model = new ToyModel(scales);
    const { files } = await tuner.run(model.context(prompts), given);
    const table = parseTable(files[0].text, files[0].name, layers);
    for (const [layer, steps] of table.entries()) {
      const errorOf = (shares: readonly number[]) => model.oracleError(layer, prompts, shares);
      const expected = oracleGreedy(sizes, 0.2, 0.9, errorOf);
      expect(steps.map(({ shares }) => shares.map((share) => share.toFixed(6)))).toEqual(
        expected.map((shares) => shares.map((share) => share.toFixed(6))),
      );
      for (const { shares, error, uniformError, sparsity } of steps) {
        expect(error).toBeCloseTo(errorOf(shares), 4);
        expect(uniformError).toBeCloseTo(errorOf(projections.map(() => sparsity)), 4);
      }
    }
  });

  it("returns the options to use, the file beside them, and a row for each layer at the asked sparsity", async () => {
    const { options, files, report } = await tuner.run(new ToyModel(scales).context(prompts), given);
    expect(options).toEqual({ sparsity: 0.4, quantile: "abs", table: "teal.csv" });
    expect(files.map(({ name }) => name)).toEqual(["teal.csv"]);
    expect(report.map(({ layer }) => layer)).toEqual([0, 1]);
    for (const row of report) expect(Math.abs((row.sparsity as number) - 0.4)).toBeLessThan(0.2);
  });

  it("skips matrices that do nothing first, the first of several", async () => {
    const { files } = await tuner.run(new ToyModel([1, 1, 1, 0, 1, 0, 1]).context(prompts), given);
    const steps = parseTable(files[0].text, "x", layers)[0];
    expect(steps.slice(0, 10).map(({ error }) => error)).toEqual(new Array(10).fill(0));
    expect(steps[4].shares).toEqual([0, 0, 0, 1, 0, 0, 0]);
    expect(steps[9].shares).toEqual([0, 0, 0, 1, 0, 1, 0]);
  });

  it.each([
    ["no prompts", [], {}, "no prompt"],
    ["a prompt of one token", [new Int32Array(1)], {}, "at least 2 tokens"],
    ["a sparsity beyond the target", prompts, { sparsity: 0.5, targetSparsity: 0.4 }, "at most targetSparsity (0.4)"],
  ])("%s is refused", async (_, given, options, message) => {
    await expect(tuner.run(new ToyModel(scales).context(given), options)).rejects.toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining(message),
    });
  });

  it("a model whose layer gives NaN is refused", async () => {
    const model = new ToyModel(scales);
    model.matrices[0][3].data.fill(Number.MAX_VALUE);
    await expect(tuner.run(model.context(prompts), given)).rejects.toMatchObject({ code: "ERR_NON_FINITE" });
  });
});

describe("teal greedy search", () => {
  function search(
    parameters: number[],
    step: number,
    targetSparsity: number,
    errorOf: (s: readonly number[]) => number,
  ) {
    const steps = greedySearch({ parameters, step, targetSparsity });
    let next = steps.next();
    while (!next.done) next = steps.next(errorOf(next.value));
    return next.value;
  }
  const llama3 = [1, 0.25, 0.25, 1, 3.5, 3.5, 3.5];
  const cost = [3, 1, 4, 2, 5, 9, 2.6];
  const squares = (shares: readonly number[]) => shares.reduce((sum, share, p) => sum + cost[p] * share ** 2, 0);

  it("LLaMA-3-8B's shapes take 234 steps of .05 to reach .9, the first to .003846", () => {
    const steps = search(llama3, 0.05, 0.9, squares);
    expect(steps).toHaveLength(234);
    expect(steps[0].sparsity).toBeCloseTo(0.05 / 13, 12);
  });

  it("each step adds base / sum(w) to the sparsity, and no other choice has less error", () => {
    let before: Pick<GreedyStep, "shares" | "sparsity"> = { shares: llama3.map(() => 0), sparsity: 0 };
    for (const step of search(llama3, 0.1, 0.9, squares)) {
      expect(step.sparsity - before.sparsity).toBeCloseTo(0.1 / 13, 10);
      expect(step.sparsity).toBeCloseTo(effectiveSparsity(step.shares, llama3), 12);
      const choices = before.shares.flatMap((share, p) =>
        share < 1 ? [squares(before.shares.with(p, share + 0.1 / llama3[p]))] : [],
      );
      expect(step.error).toBe(Math.min(...choices));
      expect(step.uniformError).toBeCloseTo(squares(llama3.map(() => step.sparsity)), 12);
      before = step;
    }
  });

  it("equal errors raise the first matrix", () => {
    expect(search([1, 1], 0.5, 0.5, () => 1).map(({ shares }) => shares)).toEqual([
      [0.5, 0],
      [1, 0],
    ]);
  });

  it("ends at sparsity 1 with every share at least 1", () => {
    expect(
      search([1, 0.3], 0.4, 1, squares)
        .at(-1)!
        .shares.every((share) => share >= 1),
    ).toBe(true);
  });
});

describe("teal activation error", () => {
  it("is the mean over channels of the norm along the counted tokens", () => {
    const dense = Float32Array.of(9, 9, 3, 1, 4, 1);
    const sparse = Float32Array.of(0, 0, 0, 1, 0, 3);
    expect(activationError(dense, sparse, 2, 1)).toBe((5 + 2) / 2);
  });
});
