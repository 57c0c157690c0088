import { fileURLToPath } from "node:url";
import {
  type ChannelsWeight,
  type DenseWeight,
  type GatedRowsWeight,
  projections,
  toBf16,
  type WeightContext,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracleMlp, oracleThreshold } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };

function dense(rows: number[][]): DenseWeight {
  return {
    format: "dense",
    dtype: "f32",
    outFeatures: rows.length,
    inFeatures: rows[0].length,
    data: Float32Array.from(rows.flat()),
  };
}

const matrix = (rows: number, width: number, seed: number) => {
  const random = new Seeded(seed);
  return Array.from({ length: rows }, () => Array.from(random.normals(width)));
};

function sparsified(
  given: object,
  weight: DenseWeight,
  activatedGate?: ArrayLike<number>,
  more: Partial<WeightContext> = {},
) {
  return plugin.create(plugin.options.parse(given), model).sparsify({
    layer: 2,
    projection: "up_proj",
    weight,
    original: weight,
    statistics: { tokens: 1, sequences: 1, ...(activatedGate && { activatedGate: Float32Array.from(activatedGate) }) },
    dtype: "f32",
    operations,
    ...more,
  });
}

/** Threshold that the activated gates of one neuron give. */
function thresholdFor(given: object, activatedGate: ArrayLike<number>): number {
  const { selection } = sparsified(given, dense([[1]]), activatedGate) as GatedRowsWeight;
  return selection.rule === "threshold" ? selection.thresholds[0] : Number.NaN;
}

const shareUpTo = (values: ArrayLike<number>, t: number) =>
  Array.from(values).filter((value) => Math.abs(value) <= t).length / values.length;

describe("cats threshold", () => {
  const random = new Seeded(7);
  const wide = random.normals(500);
  const crowded = random.normals(500).map((value) => value * 0.004);

  it("exact is the floor(count * s)-th smallest magnitude, the sign does not matter", () => {
    const gates = [0.5, -0.02, 0.3, -0.4];
    expect(thresholdFor({ sparsity: 0.25 }, gates)).toBe(Math.fround(0.02));
    expect(thresholdFor({ sparsity: 0.5 }, gates)).toBe(Math.fround(0.3));
    expect(thresholdFor({ sparsity: 0.7 }, gates)).toBe(Math.fround(0.3));
    expect(thresholdFor({ sparsity: 1 }, gates)).toBe(0.5);
  });

  it.each([0, 0.1, 0.5, 0.9, 0.999, 1])("s = %f agrees with the counting oracle for both quantiles", (sparsity) => {
    for (const values of [wide, crowded, Float32Array.of(0.25), new Float32Array(9).fill(0.5)])
      for (const quantile of ["exact", "histogram"] as const) {
        const expected = oracleThreshold(Array.from(values), sparsity, quantile);
        expectClose([thresholdFor({ sparsity, quantile }, values)], [expected], { atol: 2 ** -24, rtol: 2 ** -23 });
      }
  });

  it.each([0.1, 0.3, 0.5, 0.7, 0.9])("exact at s = %f skips the share s to one value", (sparsity) => {
    const share = shareUpTo(crowded, thresholdFor({ sparsity }, crowded));
    expect(share).toBeLessThanOrEqual(sparsity);
    expect(share).toBeGreaterThan(sparsity - 1 / 500);
  });

  it.each([0.1, 0.3, 0.5])("histogram at s = %f skips at most s, and at least s less one bin's mass", (sparsity) => {
    const t = thresholdFor({ sparsity, quantile: "histogram" }, wide);
    expect(shareUpTo(wide, t)).toBeLessThanOrEqual(sparsity);
    expect(shareUpTo(wide, t + 2.01 / 997)).toBeGreaterThanOrEqual(sparsity);
  });

  it("histogram never exceeds 1 and is -0.001 where nothing is to be skipped and values lie around 0", () => {
    const above = new Float32Array(10).fill(3);
    expect(thresholdFor({ sparsity: 0.8, quantile: "histogram" }, above)).toBe(1);
    expect(thresholdFor({ sparsity: 1, quantile: "histogram" }, crowded)).toBe(1);
    expect(thresholdFor({ sparsity: 0, quantile: "histogram" }, [0, 0.5])).toBeCloseTo(-1 / 997, 7);
    expect(thresholdFor({ sparsity: 0, quantile: "histogram" }, [0.5])).toBeCloseTo(0.5, 2);
  });

  it("s = 0 with the exact quantile skips zeros only", () => {
    expect(thresholdFor({ sparsity: 0 }, wide)).toBe(0);
  });

  it.each(["exact", "histogram"])("raising s never revives a neuron (%s)", (quantile) => {
    const thresholds = [0, 0.2, 0.4, 0.6, 0.8, 1].map((sparsity) => thresholdFor({ sparsity, quantile }, wide));
    expect(thresholds).toEqual(thresholds.slice().sort((a, b) => a - b));
    expect(new Set(thresholds).size).toBeGreaterThan(4);
  });

  it("equal gates share one fate: all are skipped from the first on", () => {
    expect(thresholdFor({ sparsity: 0.5 }, new Array(8).fill(-0.5))).toBe(0.5);
  });

  it("reports the threshold and the share that it really skips", () => {
    const facts: unknown[] = [];
    sparsified({ sparsity: 0.5 }, dense([[1]]), [1, 1, 1, -2], { report: (fact) => facts.push(fact) });
    expect(facts).toEqual([{ threshold: 1, skippedShare: 0.75 }]);
  });
});

describe("cats", () => {
  const [hidden, neurons] = [12, 40];
  const [gate, up, down] = [matrix(neurons, hidden, 1), matrix(neurons, hidden, 2), matrix(hidden, neurons, 3)];
  const calibration = matrix(30, hidden, 4);

  function mlp(x: number[], given: object) {
    const activatedGate = calibration.flatMap((token) => Array.from(gates(token)));
    const upWeight = sparsified(given, dense(up), activatedGate) as GatedRowsWeight;
    const downWeight = sparsified(given, dense(down), activatedGate, { projection: "down_proj" });
    const a = new Float32Array(neurons);
    const h = new Float32Array(neurons);
    const y = new Float32Array(hidden);
    operations.linear(Float32Array.from(x), 1, operations.packWeight(dense(gate), "f32"), a);
    operations.gatedLinear(Float32Array.from(x), a, upWeight, "silu", h);
    operations.linear(h, 1, downWeight, y, false, 1);
    const { selection } = upWeight;
    return { h, y, threshold: selection.rule === "threshold" ? selection.thresholds[0] : Number.NaN };
  }

  function gates(x: number[]): Float32Array {
    const a = new Float32Array(neurons);
    operations.linear(Float32Array.from(x), 1, operations.packWeight(dense(gate), "f32"), a);
    operations.gatedActivation(a, new Float32Array(neurons).fill(1), neurons, "silu");
    return a;
  }

  it.each([0, 0.3, 0.5, 0.9, 1])("s = %f computes the dense MLP with small gates set to 0", (sparsity) => {
    const x = matrix(1, hidden, 9)[0];
    const { y, h, threshold } = mlp(x, { sparsity });
    expectClose(y, oracleMlp({ gate, up, down }, x, threshold), { atol: 1e-4, rtol: 1e-5 });
    if (sparsity === 0.5) expect(h.filter((value) => value === 0).length).toBeGreaterThan(neurons / 4);
  });

  it("a gate at the threshold is skipped, its sign does not matter: (.5, -.02, .3, -.4) at .3 leaves 0 and 3 (worked example)", () => {
    const relu = Float32Array.of(0.5, 0.02, 0.3, 0.4);
    const weight = sparsified(
      { sparsity: 0.5 },
      dense([[1], [1], [1], [1]]),
      [0.5, -0.02, 0.3, -0.4],
    ) as GatedRowsWeight;
    const h = new Float32Array(4);
    operations.gatedLinear(Float32Array.of(1), relu, weight, "relu", h);
    expect(Array.from(h)).toEqual([0.5, 0, 0, 0.4].map(Math.fround));
  });

  it("up_proj becomes gated rows, down_proj channels that skip exact zeros, in the asked type", () => {
    const activatedGate = new Float32Array(neurons).fill(1);
    expect(sparsified({}, dense(up), activatedGate, { dtype: "bf16" })).toMatchObject({
      format: "gated-rows",
      dtype: "bf16",
      data: Uint16Array.from(up.flat(), toBf16),
    });
    const channels = sparsified({}, dense(down), undefined, { projection: "down_proj" }) as ChannelsWeight;
    expect(channels).toMatchObject({ format: "channels", dtype: "f32", outFeatures: hidden, inFeatures: neurons });
    expect(channels.selection).toEqual({ rule: "threshold", thresholds: Float32Array.of(0) });
  });

  it.each(projections.filter((name) => !["up_proj", "down_proj"].includes(name)))(
    "leaves %s as it is",
    (projection) => {
      const weight = dense(up);
      expect(sparsified({}, weight, undefined, { projection })).toBe(weight);
    },
  );
});

describe("cats with bad inputs", () => {
  it.each([
    ["no activated gates", undefined],
    ["activated gates of no token", []],
    ["activated gates of another width", [1, 2, 3]],
    ["NaN among the activated gates", [1, Number.NaN]],
    ["infinity among the activated gates", [Infinity, 1]],
  ])("%s are refused", (_, activatedGate) => {
    expect(() => sparsified({}, dense([[1], [2]]), activatedGate)).toThrow(
      expect.objectContaining({ code: "ERR_CALIBRATION", message: expect.stringContaining("up_proj of layer 2") }),
    );
  });

  it.each(["up_proj", "down_proj"] as const)("NaN weights of %s are refused", (projection) => {
    expect(() => sparsified({}, dense([[Number.NaN]]), [1], { projection })).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR" }),
    );
  });

  it.each([{ sparsity: 1.01 }, { sparsity: -1 }, { quantile: "median" }, { threshold: 0.1 }])(
    "%j does not fit the schema",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );

  it("defaults skip half of the neurons by the exact quantile", () => {
    expect(plugin.options.parse({})).toEqual({ sparsity: 0.5, quantile: "exact" });
  });
});

describe("cats fixtures", () => {
  const files = fixtureFiles("cats", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
