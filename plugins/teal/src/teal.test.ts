import { fileURLToPath } from "node:url";
import {
  type ChannelsWeight,
  type DenseWeight,
  fromBf16,
  type Projection,
  toBf16,
  type WeightContext,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracleAbsoluteThreshold, oracleProduct } from "./oracle.js";
import { thresholdsOf } from "./quantile.js";

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
    projection: "o_proj",
    weight,
    original: weight,
    statistics: { tokens: 1, sequences: 1, ...(inputs && { inputs: Float32Array.from(inputs) }) },
    dtype: "f32",
    operations,
    ...more,
  }) as ChannelsWeight;
}

function thresholdFor(given: object, inputs: ArrayLike<number>, more: Partial<WeightContext> = {}): number {
  const { selection } = sparsified(given, dense([[1]]), inputs, more);
  return selection.rule === "threshold" ? selection.thresholds[0] : Number.NaN;
}

const shareUpTo = (values: ArrayLike<number>, t: number) =>
  Array.from(values).filter((value) => Math.abs(value) <= t).length / values.length;

const gauss = new Seeded(1).normals(40_000);
/** Laplace(1), by inversion. */
const laplace = new Seeded(2).uniforms(40_000, -1, 1).map((u) => -Math.sign(u) * Math.log(1 - Math.abs(u)));

describe("teal threshold", () => {
  it.each([
    [0.25, 0.3186, 0.2877],
    [0.5, 0.6745, Math.LN2],
    [0.75, 1.1503, 1.3863],
  ])("s = %f of N(0, 1) and of Laplace(1) is near %f and %f by both quantiles", (share, normal, laplacian) => {
    for (const quantile of ["abs", "signed"] as const) {
      expectClose([thresholdsOf(gauss, quantile)(share)], [normal], { atol: 0.02, rtol: 0 });
      expectClose([thresholdsOf(laplace, quantile)(share)], [laplacian], { atol: 0.04, rtol: 0 });
    }
  });

  it.each([0.1, 0.3, 0.5, 0.7, 0.9])("signed at s = %f skips s within 1 % of symmetric inputs", (share) => {
    const symmetric = Float32Array.from([...gauss, ...gauss.map((x) => -x)]);
    expect(Math.abs(shareUpTo(symmetric, thresholdsOf(symmetric, "signed")(share)) - share)).toBeLessThan(0.01);
  });

  it("signed asked for .5 of N(.3, 1) skips .65, asked for .25 skips .45; abs skips what was asked", () => {
    const shifted = gauss.map((x) => x + 0.3);
    const skipped = (quantile: "abs" | "signed", share: number) =>
      shareUpTo(shifted, thresholdsOf(shifted, quantile)(share));
    expectClose([skipped("signed", 0.5), skipped("signed", 0.25)], [0.65, 0.45], { atol: 0.015, rtol: 0 });
    expectClose([skipped("abs", 0.5), skipped("abs", 0.25)], [0.5, 0.25], { atol: 1 / shifted.length, rtol: 0 });
  });

  it("signed asked for .99 falls into the outer bin and skips about .996 or more", () => {
    expect(shareUpTo(gauss, thresholdsOf(gauss, "signed")(0.99))).toBeGreaterThan(0.992);
  });

  it.each([0, 0.001, 0.1, 0.5, 0.9, 0.999, 1])("abs at s = %f agrees with the counting oracle", (sparsity) => {
    const samples = [gauss.slice(0, 300), Float32Array.of(-0.25), new Float32Array(9).fill(-0.5), new Float32Array(4)];
    for (const values of samples)
      expect(thresholdFor({ sparsity }, values)).toBe(oracleAbsoluteThreshold(Array.from(values), sparsity));
  });

  it.each([0.1, 0.3, 0.5, 0.7, 0.9])("abs at s = %f skips the share s to one value", (sparsity) => {
    const values = gauss.slice(0, 500);
    const share = shareUpTo(values, thresholdFor({ sparsity }, values));
    expect(share).toBeLessThanOrEqual(sparsity);
    expect(share).toBeGreaterThan(sparsity - 1 / 500);
  });

  it.each(["abs", "signed"] as const)(
    "%s never falls when s rises, is 0 at 0, and counts a share above 1 as 1",
    (quantile) => {
      const thresholds = thresholdsOf(gauss.slice(0, 1000), quantile);
      const values = [0, 0.01, 0.2, 0.5, 0.8, 0.99, 1].map(thresholds);
      expect(values).toEqual(values.slice().sort((a, b) => a - b));
      expect(values[0]).toBe(0);
      expect(thresholds(1.4)).toBe(thresholds(1));
    },
  );

  it.each([1, 2, 99, 100, 101])("signed of %i values is finite and at most the largest", (count) => {
    const values = gauss.slice(0, count);
    for (const share of [0, 0.5, 1]) {
      const threshold = thresholdsOf(values, "signed")(share);
      expect(threshold).toBeGreaterThanOrEqual(0);
      expect(threshold).toBeLessThanOrEqual(values.reduce((largest, x) => Math.max(largest, Math.abs(x))));
    }
  });

  it("signed of negative inputs is 0, which skips zeros only", () => {
    expect(thresholdFor({ quantile: "signed" }, [-3, -2, -1])).toBe(0);
  });

  it("inputs that are all 0 give 0; equal ones share one fate", () => {
    for (const quantile of ["abs", "signed"]) {
      expect(thresholdFor({ quantile }, new Float32Array(200))).toBe(0);
      expect(thresholdFor({ quantile }, new Float32Array(200).fill(0.5))).toBe(0.5);
    }
  });

  it("q_proj, k_proj and v_proj share one threshold, since they share their inputs", () => {
    const inputs = gauss.slice(0, 64);
    const [q, k, v] = (["q_proj", "k_proj", "v_proj"] as Projection[]).map((projection) =>
      thresholdFor({}, inputs, { projection }),
    );
    expect([k, v]).toEqual([q, q]);
  });

  it("reports the share, the threshold and what it really skips", () => {
    const facts: unknown[] = [];
    thresholdFor({ sparsity: 0.5 }, [1, -1, 1, 2], { report: (fact) => facts.push(fact) });
    expect(facts).toEqual([{ sparsity: 0.5, threshold: 1, skippedShare: 0.75 }]);
  });
});

describe("teal", () => {
  const [outFeatures, inFeatures] = [17, 40];
  const rows = matrix(outFeatures, inFeatures, 3);
  const inputs = Float32Array.from(matrix(30, inFeatures, 4).flat());
  const bias = Array.from({ length: outFeatures }, (_, o) => o - 3);

  function product(weight: ChannelsWeight, x: number[]): Float32Array {
    const out = new Float32Array(weight.outFeatures);
    operations.linear(Float32Array.from(x), 1, weight, out, false, 1);
    return out;
  }

  it.each([0, 0.3, 0.5, 0.9, 1])(
    "s = %f multiplies the inputs above the threshold only, and adds the bias",
    (sparsity) => {
      const weight = sparsified({ sparsity }, dense(rows, bias), inputs);
      const x = matrix(1, inFeatures, 5)[0];
      const threshold = thresholdFor({ sparsity }, inputs);
      expectClose(product(weight, x), oracleProduct(rows, x, threshold, bias), { atol: 1e-4, rtol: 1e-5 });
    },
  );

  it("s = 0 gives the bits of the whole product", () => {
    const weight = sparsified({ sparsity: 0 }, dense(rows), inputs);
    const x = Float32Array.from(matrix(1, inFeatures, 6)[0]);
    const whole = new Float32Array(outFeatures);
    operations.linear(x, 1, weight, whole, false, 0);
    expect(product(weight, Array.from(x))).toEqual(whole);
  });

  it("a product equals the whole product of the masked input, bit for bit", () => {
    const weight = sparsified({}, dense(rows), inputs);
    const x = matrix(1, inFeatures, 7)[0];
    const threshold = thresholdFor({}, inputs);
    const masked = Float32Array.from(x, (value) => (Math.abs(Math.fround(value)) > threshold ? value : 0));
    const whole = new Float32Array(outFeatures);
    operations.linear(masked, 1, weight, whole, false, 0);
    expect(product(weight, x)).toEqual(whole);
  });

  it("an input of zeros gives the bias", () => {
    expect(Array.from(product(sparsified({}, dense(rows, bias), inputs), new Array(inFeatures).fill(0)))).toEqual(bias);
  });

  it("channels are held in the asked type", () => {
    const weight = sparsified({}, dense([[1.001, 2]]), [1, 1], { dtype: "bf16" });
    expect(weight).toMatchObject({ format: "channels", dtype: "bf16", outFeatures: 1, inFeatures: 2 });
    expect(Array.from(weight.data, fromBf16)).toEqual([fromBf16(toBf16(1.001)), 2]);
  });
});

describe("teal with bad inputs", () => {
  it.each([
    ["no inputs", undefined],
    ["inputs of no token", []],
    ["inputs of another width", [1, 2, 3]],
    ["NaN among the inputs", [1, Number.NaN]],
    ["infinity among the inputs", [Infinity, 1]],
  ])("%s are refused", (_, inputs) => {
    expect(() => sparsified({}, dense([[1, 2]]), inputs)).toThrow(
      expect.objectContaining({ code: "ERR_CALIBRATION", message: expect.stringContaining("o_proj of layer 0") }),
    );
  });

  it("NaN weights are refused", () => {
    expect(() => sparsified({}, dense([[Number.NaN]]), [1])).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR" }),
    );
  });

  it.each([{ sparsity: 1.01 }, { sparsity: -1 }, { quantile: "median" }, { table: "" }, { threshold: 1 }])(
    "%j does not fit the schema",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );

  it("defaults skip half of the channels of every matrix by the exact quantile", () => {
    expect(plugin.options.parse({})).toEqual({ sparsity: 0.5, quantile: "abs" });
  });
});

describe("teal fixtures", () => {
  const files = fixtureFiles("teal", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", { timeout: 240_000 }, async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
