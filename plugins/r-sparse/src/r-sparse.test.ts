import { fileURLToPath } from "node:url";
import { type ChannelsWeight, type DenseWeight, fromBf16, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracleLowRank, oracleNorms, oracleProduct } from "./oracle.js";
import { scoresOf, sketchOf, thresholdOf } from "./scores.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };

function dense(rows: number[][], bias?: number[]): DenseWeight {
  return {
    format: "dense",
    dtype: "f32",
    outFeatures: rows.length,
    inFeatures: rows[0].length,
    data: Float32Array.from(rows.flat()),
    ...(bias && { bias: Float32Array.from(bias) }),
  };
}

const matrix = (rows: number, width: number, seed: number) => {
  const random = new Seeded(seed);
  return Array.from({ length: rows }, () => Array.from(random.normals(width)));
};

function sparsified(given: object, weight: DenseWeight, inputs?: ArrayLike<number>, more: Partial<WeightContext> = {}) {
  return plugin.create(plugin.options.parse(given), model).sparsify({
    layer: 0,
    projection: "k_proj",
    weight,
    original: weight,
    statistics: { tokens: 1, sequences: 1, ...(inputs && { inputs: Float32Array.from(inputs) }) },
    dtype: "f32",
    operations,
    ...more,
  }) as ChannelsWeight;
}

function thresholdOfWeight({ selection }: ChannelsWeight): number {
  return selection.rule === "threshold" ? selection.thresholds[0] : Number.NaN;
}

/** The weight with another threshold. */
function atThreshold(weight: ChannelsWeight, threshold: number): ChannelsWeight {
  return { ...weight, selection: { ...weight.selection, rule: "threshold", thresholds: Float32Array.of(threshold) } };
}

function product(weight: ChannelsWeight, x: number[], sparseRows = 1): Float32Array {
  const out = new Float32Array(weight.outFeatures);
  operations.linear(Float32Array.from(x), 1, weight, out, false, sparseRows);
  return out;
}

const [outFeatures, inFeatures] = [12, 20];
const rows = matrix(outFeatures, inFeatures, 1);
const inputs = matrix(40, inFeatures, 2).flat();
const x = matrix(1, inFeatures, 3)[0];
const bias = Array.from({ length: outFeatures }, (_, o) => o - 5);
const ones = new Array(inFeatures).fill(1);
const tolerance = { atol: 1e-4, rtol: 1e-4 };

describe("r-sparse", () => {
  it.each([
    [0.5, 0.6, 1],
    [0.3, 0.5, 2],
    [0.2, 0.4, 3],
  ])("s = %f, rho = %f multiplies important channels exactly and the rest by rank %i", (sparsity, ratio, rank) => {
    const weight = sparsified({ sparsity, ratio }, dense(rows, bias), inputs);
    expect(weight.lowRank?.rank).toBe(rank);
    const expected = oracleProduct(
      rows,
      oracleLowRank(rows, rank),
      x,
      oracleNorms(rows),
      thresholdOfWeight(weight),
      bias,
    );
    expectClose(product(weight, x), expected, tolerance);
  });

  it.each([0, 0.3, 0.5, 0.9, 1])("rho = 1 at s = %f drops the rest and ranks channels by |x| alone", (sparsity) => {
    const weight = sparsified({ sparsity, ratio: 1 }, dense(rows, bias), inputs);
    expect(weight.lowRank).toBeUndefined();
    expect(weight.selection.scale).toBeUndefined();
    const expected = oracleProduct(rows, undefined, x, ones, thresholdOfWeight(weight), bias);
    expectClose(product(weight, x), expected, tolerance);
  });

  it("rho = 0 sends all through the factors and keeps the bias", () => {
    const weight = sparsified({ sparsity: 0.2, ratio: 0 }, dense(rows, bias), inputs);
    expect(thresholdOfWeight(weight)).toBe(Infinity);
    expect(weight.lowRank?.rank).toBe(6);
    const expected = oracleProduct(rows, oracleLowRank(rows, 6), x, ones, Infinity, bias);
    expectClose(product(weight, x), expected, { atol: 1e-3, rtol: 1e-3 });
  });

  it("rho = 0 needs no inputs", () => {
    expect(sparsified({ ratio: 0 }, dense(rows)).lowRank?.rank).toBe(3);
  });

  it("factors of full rank equal the dense matrix whatever the mask", () => {
    // The best rank of a matrix that is 2 by construction.
    const [left, right] = [matrix(outFeatures, 2, 4), matrix(2, inFeatures, 5)];
    const low = left.map((row) => right[0].map((_, j) => row[0] * right[0][j] + row[1] * right[1][j]));
    const weight = sparsified({ sparsity: 0.3, ratio: 0.5 }, dense(low), inputs);
    expect(weight.lowRank?.rank).toBe(2);
    for (const threshold of [-1, 0.5, 2, Infinity])
      expectClose(product(atThreshold(weight, threshold), x), oracleProduct(low, undefined, x, ones, -1), tolerance);
  });

  it("a mask of all ones gives the dense product, its bits too", () => {
    const weight = atThreshold(sparsified({ sparsity: 0.5, ratio: 0.6 }, dense(rows), inputs), -1);
    expect(product(weight, x)).toEqual(product(weight, x, 0));
  });

  it("the scale is the norm of the weight's columns", () => {
    const { selection } = sparsified({ ratio: 0.6 }, dense(rows), inputs);
    expectClose(selection.scale!, oracleNorms(rows), { atol: 0, rtol: 1e-6 });
  });

  it("W = [[3, 0], [4, 1]]: scores (.5, .4) of x = (.1, .4) make channel 0 exact, |x| would choose channel 1 (worked example)", () => {
    const weight = sparsified(
      { sparsity: 0.1, ratio: 0.5 },
      dense([
        [3, 0],
        [4, 1],
      ]),
      [1, 1],
    );
    expectClose(weight.selection.scale!, [5, 1], { atol: 0, rtol: 1e-6 });
    const exact = { ...atThreshold(weight, 0.45), lowRank: undefined } as unknown as ChannelsWeight;
    expectClose(product(exact, [0.1, 0.4]), [0.3, 0.4], { atol: 1e-6, rtol: 0 });
  });

  it("channels and factors are held in the asked type", () => {
    const weight = sparsified({ sparsity: 0.3, ratio: 0.5 }, dense(rows), inputs, { dtype: "bf16" });
    const full = sparsified({ sparsity: 0.3, ratio: 0.5 }, dense(rows), inputs);
    expect([weight.dtype, weight.lowRank?.dtype]).toEqual(["bf16", "bf16"]);
    expectClose(Array.from(weight.lowRank!.inputs, fromBf16), full.lowRank!.inputs, { atol: 0, rtol: 2 ** -8 });
    expectClose(Array.from(weight.lowRank!.outputs, fromBf16), full.lowRank!.outputs, { atol: 0, rtol: 2 ** -8 });
  });

  it("an input of zeros gives the bias", () => {
    const weight = sparsified({ ratio: 0.6 }, dense(rows, bias), inputs);
    expect(Array.from(product(weight, new Array(inFeatures).fill(0)))).toEqual(bias);
  });

  it("a matrix too small for its budget keeps no channel and no factor", () => {
    const weight = sparsified({ sparsity: 0.5, ratio: 0.5 }, dense([[2]], [3]), [1, 2]);
    expect(weight.lowRank).toBeUndefined();
    expect(Array.from(product(weight, [1]))).toEqual([3]);
    expect(sparsified({ ratio: 0 }, dense([[2]])).lowRank).toBeUndefined();
  });

  it("s = 1 skips every channel of the calibration text; s = 0 with rho = 1 skips zeros only", () => {
    const all = scoresOf(Float32Array.from(inputs)).reduce((a, b) => Math.max(a, b));
    const [none, whole] = [1, 0].map((sparsity) => sparsified({ sparsity, ratio: 1 }, dense(rows), inputs));
    expect(thresholdOfWeight(none)).toBe(all);
    expect(thresholdOfWeight(whole)).toBe(0);
    expect(product(whole, x)).toEqual(product(whole, x, 0));
    expect(sparsified({ sparsity: 1, ratio: 0.5 }, dense(rows), inputs).lowRank).toBeUndefined();
  });

  it("a matrix of zeros gives the bias", () => {
    const zeros = dense(
      rows.map((row) => row.map(() => 0)),
      bias,
    );
    for (const ratio of [0, 0.5, 1])
      expect(Array.from(product(sparsified({ ratio, sparsity: 0.2 }, zeros, inputs), x))).toEqual(bias);
  });

  it("reports channel sparsity and the share of weights read, which differ", () => {
    const facts: Record<string, number | string>[] = [];
    sparsified({ sparsity: 0.5, ratio: 0.6 }, dense(rows), inputs, { report: (fact) => facts.push(fact) });
    expect(facts).toMatchObject([{ sparsity: 0.5, ratio: 0.6, rank: 1, channelSparsity: 0.7, skippedShare: 0.7 }]);
    expect(facts[0].weightsRead).toBeCloseTo((6 * 12 + 32) / 240, 12);
  });
});

describe("r-sparse threshold", () => {
  const scores = new Seeded(9).uniforms(503);
  const shareUpTo = (t: number) => scores.filter((score) => score <= t).length / scores.length;

  it.each([0.05, 0.3, 0.525, 0.9, 1])("tau = %f is reached to one score", (tau) => {
    const share = shareUpTo(thresholdOf(scores, tau));
    expect(share).toBeLessThanOrEqual(tau);
    expect(share).toBeGreaterThan(tau - 1 / scores.length);
  });

  it.each([0, 0.05, 0.3, 0.525, 0.9, 1])("the sketch reaches tau = %f to one score and 1 / 4096", (tau) => {
    expect(Math.abs(shareUpTo(sketchOf(scores)(tau)) - tau)).toBeLessThanOrEqual(1 / scores.length + 1 / 4096);
  });

  it("equal scores and zeros share one fate: strictly above counts", () => {
    expect(thresholdOf(new Float32Array(6).fill(2), 0.5)).toBe(2);
    expect(thresholdOf(Float32Array.of(0, 0, 0, 5), 0.5)).toBe(0);
    expect(thresholdOf(Float32Array.of(3), 0.5)).toBe(0);
  });
});

describe("r-sparse with bad inputs", () => {
  it.each([
    ["no inputs", undefined],
    ["inputs of no token", []],
    ["inputs of another width", [1, 2, 3]],
    ["NaN among the inputs", [1, Number.NaN]],
    ["infinity among the inputs", [Infinity, 1]],
  ])("%s are refused", (_, given) => {
    for (const ratio of [0.5, 1])
      expect(() => sparsified({ ratio }, dense([[1, 2]]), given)).toThrow(
        expect.objectContaining({ code: "ERR_CALIBRATION", message: expect.stringContaining("k_proj of layer 0") }),
      );
  });

  it("NaN weights are refused", () => {
    expect(() => sparsified({}, dense([[Number.NaN]]), [1])).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR" }),
    );
  });

  it.each([{ sparsity: 1.01 }, { ratio: -0.1 }, { ratio: 2 }, { table: "" }, { prefillRatio: 0.1 }])(
    "%j does not fit the schema",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );

  it("defaults are the paper's uniform setting", () => {
    expect(plugin.options.parse({})).toEqual({ sparsity: 0.5, ratio: 0.95 });
  });
});

describe("r-sparse fixtures", () => {
  const files = fixtureFiles("r-sparse", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", { timeout: 60_000 }, async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
