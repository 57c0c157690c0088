import { fileURLToPath } from "node:url";
import { type CalibrationStatistics, type DenseWeight, floatValues, toBf16, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { invertHessian, scaledHessian } from "./hessian.js";
import plugin from "./index.js";
import { type OracleOptions, oracleSparseGpt, outputError } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, contextLength: 64 };

/** Rows of normal numbers of different size in each column, with a part that columns share, so that compensation has something to use. */
function inputs(tokens: number, width: number, seed: number): number[][] {
  const random = new Seeded(seed);
  const sizes = Array.from({ length: width }, () => random.uniform(0.3, 2));
  return Array.from({ length: tokens }, () => {
    const shared = random.normal();
    return sizes.map((size) => size * (random.normal() + shared));
  });
}

const matrix = (rows: number, width: number, seed: number) => {
  const random = new Seeded(seed);
  return Array.from({ length: rows }, () => Array.from(random.normals(width)));
};

function dense(w: number[][]): DenseWeight {
  return {
    format: "dense",
    dtype: "f32",
    outFeatures: w.length,
    inFeatures: w[0].length,
    data: Float32Array.from(w.flat()),
  };
}

function statisticsOf(x: number[][], sequences = 1): CalibrationStatistics {
  const width = x[0].length;
  const hessian = new Float32Array(width ** 2);
  operations.accumulateGram(Float32Array.from(x.flat()), x.length, width, hessian);
  return { tokens: x.length, sequences, hessian };
}

function contextOf(
  weight: DenseWeight,
  statistics: CalibrationStatistics,
  more: Partial<WeightContext> = {},
): WeightContext {
  return { layer: 3, projection: "up_proj", weight, original: weight, statistics, dtype: "f32", operations, ...more };
}

function sparsified(given: object, ...context: Parameters<typeof contextOf>) {
  return plugin.create(plugin.options.parse(given), model).sparsify(contextOf(...context)) as DenseWeight;
}

const rowsOf = (weight: DenseWeight): number[][] =>
  Array.from({ length: weight.outFeatures }, (_, r) =>
    Array.from(floatValues(weight).subarray(r * weight.inFeatures, (r + 1) * weight.inFeatures)),
  );

const zeros = (rows: number[][]) => rows.flat().filter((value) => value === 0).length;

describe("sparsegpt worked example", () => {
  const x = [
    [1, 0, 1, 0],
    [0, 1, 1, 0],
    [1, 1, 0, 1],
    [0, 0, 1, 2],
  ];
  const w = [[1, 0.5, -0.8, 0.3]];
  const rounded = (weight: DenseWeight) => Array.from(weight.data, (value) => Number(value.toFixed(4)));

  it("H is 2 / sequences times the sum of x x^T", () => {
    const h = scaledHessian(contextOf(dense(w), statisticsOf(x)));
    expect(Array.from(h)).toEqual([4, 2, 2, 2, 2, 4, 2, 2, 2, 2, 6, 4, 2, 2, 4, 10]);
    expect(scaledHessian(contextOf(dense(w), statisticsOf(x, 4)))[0]).toBe(1);
  });

  it("U has the diagonal (.5925, .5474, .4730, .3153)", () => {
    const context = contextOf(dense(w), statisticsOf(x));
    const { factor, dead } = invertHessian(scaledHessian(context), { damping: 0.01, dampingRetries: 0 }, context);
    expect([0, 5, 10, 15].map((e) => Number(factor[e].toFixed(4)))).toEqual([0.5925, 0.5474, 0.473, 0.3153]);
    expect(dead).toEqual([]);
  });

  it("sparsity 0.5 removes 3 of 4 weights, for the cut at element 2 takes all scores up to it: (0, 0, -.3957, 0)", () => {
    const pruned = sparsified({ sparsity: 0.5 }, dense(w), statisticsOf(x));
    expect(rounded(pruned)).toEqual([0, 0, -0.3957, 0]);
    expect(outputError(w, rowsOf(pruned), x)).toBeCloseTo(3.642, 3);
    expect(outputError(w, [[0, 0, -0.8, 0]], x)).toBeCloseTo(4.85, 3);
  });

  it("cut: count removes exactly 2 of 4", () => {
    expect(zeros(rowsOf(sparsified({ sparsity: 0.5, cut: "count" }, dense(w), statisticsOf(x))))).toBe(2);
  });

  it("2:4 removes columns 1 and 3: (1, 0, -.6652, 0)", () => {
    const pruned = sparsified({ pattern: { keep: 2, of: 4 } }, dense(w), statisticsOf(x));
    expect(rounded(pruned)).toEqual([1, 0, -0.6652, 0]);
  });
});

describe("sparsegpt against the float64 oracle", () => {
  it.each<{ rows: number; width: number; options: Partial<OracleOptions> }>([
    { rows: 1, width: 1, options: { sparsity: 0.5 } },
    { rows: 3, width: 7, options: { blockSize: 1 } },
    { rows: 5, width: 24, options: { blockSize: 8, sparsity: 0.6 } },
    { rows: 4, width: 23, options: { blockSize: 8, sparsity: 0.5 } },
    { rows: 4, width: 23, options: { blockSize: 8, sparsity: 0.5, cut: "count" } },
    { rows: 6, width: 16, options: { blockSize: 128, sparsity: 0.7, damping: 0.1 } },
    { rows: 4, width: 24, options: { groups: { keep: 2, of: 4 }, blockSize: 8 } },
    { rows: 3, width: 18, options: { groups: { keep: 2, of: 4 }, blockSize: 16 } },
    { rows: 3, width: 19, options: { groups: { keep: 5, of: 8 }, blockSize: 8 } },
    { rows: 4, width: 24, options: { sparsity: 0.5, blockSize: 8, bits: 3 } },
    { rows: 4, width: 24, options: { groups: { keep: 1, of: 4 }, blockSize: 8, bits: 4 } },
    { rows: 2, width: 12, options: { sparsity: 0, blockSize: 4, bits: 4 } },
  ])("$rows x $width with $options gives the oracle's weights", ({ rows, width, options }) => {
    const complete = { sparsity: 0.5, cut: "threshold", blockSize: 128, damping: 0.01, ...options } as const;
    const x = inputs(3 * width, width, 5);
    const w = rowsOf(dense(matrix(rows, width, 6)));
    const expected = oracleSparseGpt(w, x, 3, complete);
    const { groups, ...others } = complete;
    const pruned = sparsified({ ...others, ...(groups && { pattern: groups }) }, dense(w), statisticsOf(x, 3));
    // A float32 sweep over `width` columns; weights are about 1.
    expectClose(pruned.data, expected.flat(), { atol: width * 2 ** -20, rtol: width * 2 ** -20 });
    expect(rowsOf(pruned).map((row) => row.map((value) => value === 0))).toEqual(
      expected.map((row) => row.map((value) => value === 0)),
    );
  });
});

describe("sparsegpt", () => {
  const [rows, width] = [12, 40];
  const x = inputs(160, width, 1);
  const w = rowsOf(dense(matrix(rows, width, 2)));
  const statistics = statisticsOf(x, 4);
  const masked = (pruned: number[][]) => pruned.map((row, r) => row.map((value, j) => (value === 0 ? 0 : w[r][j])));

  it.each([{ sparsity: 0.5, blockSize: 16 }, { pattern: { keep: 2, of: 4 } }, { sparsity: 0.8, cut: "count" }])(
    "%j: compensation makes the output error smaller than the mask alone does",
    (options) => {
      const pruned = rowsOf(sparsified(options, dense(w), statistics));
      expect(zeros(pruned)).toBeGreaterThanOrEqual((rows * width) / 2);
      expect(outputError(w, pruned, x)).toBeLessThan(0.9 * outputError(w, masked(pruned), x));
    },
  );

  it("U is upper triangular and U^T U inverts H + lambda I", () => {
    const context = contextOf(dense(w), statistics);
    const h = scaledHessian(context);
    const before = h.slice();
    const { factor, damping } = invertHessian(h, { damping: 0.01, dampingRetries: 0 }, context);
    const mean = Array.from({ length: width }, (_, j) => before[j * width + j]).reduce((a, b) => a + b) / width;
    for (let j = 0; j < width; j++) before[j * width + j] += damping * mean;
    const at = (i: number, j: number) => factor[i * width + j];
    const inverse = Float64Array.from({ length: width ** 2 }, (_, e) => {
      const [i, j] = [Math.floor(e / width), e % width];
      return Array.from({ length: width }, (_, k) => at(k, i) * at(k, j)).reduce((a, b) => a + b);
    });
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) {
        if (j < i) expect(at(i, j)).toBe(0);
        let product = 0;
        for (let k = 0; k < width; k++) product += inverse[i * width + k] * before[k * width + j];
        expect(product).toBeCloseTo(i === j ? 1 : 0, 3);
      }
  });

  it("N:M leaves exactly keep of each group in every row, and a shorter last group min(keep, size)", () => {
    const short = w.map((row) => row.slice(0, 35));
    const pruned = rowsOf(
      sparsified({ pattern: { keep: 2, of: 8 } }, dense(short), statisticsOf(x.map((t) => t.slice(0, 35)))),
    );
    for (const row of pruned)
      for (let j = 0; j < 35; j += 8) expect(row.slice(j, j + 8).filter((value) => value !== 0)).toHaveLength(2);
  });

  it("N:M does not depend on blockSize", () => {
    const [a, b] = [8, 128].map((blockSize) =>
      sparsified({ pattern: { keep: 2, of: 4 }, blockSize }, dense(w), statistics),
    );
    expectClose(a.data, b.data, { atol: width * 2 ** -22, rtol: 0 });
  });

  it("N:M of a matrix that has the pattern already changes nothing", () => {
    const once = sparsified({ pattern: { keep: 2, of: 4 } }, dense(w), statistics);
    expect(sparsified({ pattern: { keep: 2, of: 4 } }, once, statistics).data).toEqual(once.data);
  });

  it("columns left of a row's first removed weight keep their bits", () => {
    const pruned = rowsOf(sparsified({ sparsity: 0.1 }, dense(w), statistics));
    pruned.forEach((row, r) => {
      const first = row.indexOf(0);
      expect(row.slice(0, first)).toEqual(w[r].slice(0, first));
    });
    expect(pruned.some((row) => row.indexOf(0) > 0)).toBe(true);
  });

  it("unstructured removes floor(count * sparsity) + 1 weights per block of columns, cut: count one fewer", () => {
    const options = { sparsity: 0.37, blockSize: 16 };
    const perBlock = [16, 16, 8].map((columns) => Math.floor(rows * columns * 0.37));
    const asked = perBlock.reduce((a, b) => a + b);
    expect(zeros(rowsOf(sparsified(options, dense(w), statistics)))).toBe(asked + 3);
    expect(zeros(rowsOf(sparsified({ ...options, cut: "count" }, dense(w), statistics)))).toBe(asked);
  });

  it("equal scores: the threshold takes all of them, cut: count those of lower index", () => {
    const identity = Array.from({ length: 4 }, (_, i) => Array.from({ length: 4 }, (_, j) => (i === j ? 1 : 0)));
    const equal = dense([[1, 1, 1, 1]]);
    expect(Array.from(sparsified({}, equal, statisticsOf(identity)).data)).toEqual([0, 0, 0, 0]);
    expect(Array.from(sparsified({ cut: "count" }, equal, statisticsOf(identity)).data)).toEqual([0, 0, 1, 1]);
    const groups = sparsified({ pattern: { keep: 2, of: 4 } }, equal, statisticsOf(identity));
    expect(Array.from(groups.data)).toEqual([0, 0, 1, 1]);
  });

  it.each([{ sparsity: 0 }, { sparsity: 0, cut: "count" }, { pattern: { keep: 4, of: 4 } }])(
    "%j returns the very weight that it got",
    (options) => {
      const weight = dense(w);
      expect(sparsified(options, weight, statistics)).toBe(weight);
    },
  );

  it.each(["threshold", "count"])("sparsity 1 with cut %s leaves zeros only", (cut) => {
    expect(zeros(rowsOf(sparsified({ sparsity: 1, cut, blockSize: 16 }, dense(w), statistics)))).toBe(rows * width);
  });

  it("bits: each row holds at most 2^bits values, evenly spaced, 0 among them", () => {
    rowsOf(sparsified({ bits: 2, sparsity: 0.3 }, dense(w), statistics)).forEach((row, r) => {
      expect(new Set(row).size).toBeLessThanOrEqual(4);
      const step = (Math.max(0, ...w[r]) - Math.min(0, ...w[r])) / 3;
      for (const value of row) expect(Math.abs(value / step - Math.round(value / step))).toBeLessThan(1e-5);
    });
  });

  it("bits: a row of zeros stays zero", () => {
    const some = [new Array<number>(width).fill(0), ...w.slice(1)];
    expect(zeros(rowsOf(sparsified({ bits: 4, sparsity: 0.1 }, dense(some), statistics)).slice(0, 1))).toBe(width);
  });

  it("keeps the type and the bias: bf16 gives the float32 result, rounded once", () => {
    const bias = Float32Array.from({ length: rows }, (_, r) => r);
    const data = Uint16Array.from(w.flat(), toBf16);
    const weight: DenseWeight = { ...dense(w), dtype: "bf16", data, bias };
    const exact = sparsified({}, dense(rowsOf(weight)), statistics);
    const pruned = sparsified({}, weight, statistics);
    expect(pruned).toMatchObject({ format: "dense", dtype: "bf16", bias });
    expect(pruned.data).toEqual(Uint16Array.from(exact.data, toBf16));
    expect(weight.data).toEqual(Uint16Array.from(w.flat(), toBf16));
  });

  it("features that are always 0 lose their column, and nothing else depends on them", () => {
    const silent = x.map((token) => token.map((value, j) => (j === 5 ? 0 : value)));
    const other = w.map((row) => row.map((value, j) => (j === 5 ? value + 9 : value)));
    const [a, b] = [w, other].map((some) => sparsified({ sparsity: 0.5 }, dense(some), statisticsOf(silent)));
    expect(rowsOf(a).map((row) => row[5])).toEqual(new Array(rows).fill(0));
    expect(b.data).toEqual(a.data);
  });

  it("inputs that are always 0 make the whole matrix 0", () => {
    const silent = statisticsOf(x.map((token) => token.map(() => 0)));
    expect(zeros(rowsOf(sparsified({ sparsity: 0.1 }, dense(w), silent)))).toBe(rows * width);
  });

  it("constant features (H of rank 1) are handled by damping", () => {
    const pruned = sparsified({ sparsity: 0.5 }, dense(w), statisticsOf(x.map((token) => token.map(() => 1))));
    expect(pruned.data.every(Number.isFinite)).toBe(true);
    expect(zeros(rowsOf(pruned))).toBeLessThan(rows * width);
  });

  it("reports the damping that it took and the dead features", () => {
    const facts: unknown[] = [];
    const silent = statisticsOf(x.map((token) => token.map((value, j) => (j < 2 ? 0 : value))));
    sparsified({ damping: 0.05 }, dense(w), silent, { report: (fact) => facts.push(fact) });
    expect(facts).toEqual([{ damping: 0.05, deadFeatures: 2 }]);
  });
});

describe("sparsegpt with bad inputs", () => {
  const w = matrix(2, 3, 1);
  /** Eigenvalues -1, 1, 3 times 2: positive definite from a share of more than 1/2 of the mean diagonal (2) on. */
  const indefinite = { tokens: 9, sequences: 1, hessian: Float32Array.of(1, 2, 0, 2, 1, 0, 0, 0, 1) };

  it("multiplies damping by ten until H is positive definite, and reports it", () => {
    const facts: unknown[] = [];
    sparsified({ damping: 0.03 }, dense(w), indefinite, { report: (fact) => facts.push(fact) });
    expect(facts).toEqual([{ damping: 3, deadFeatures: 0 }]);
  });

  it("gives up after dampingRetries, with the matrix and the column in the message", () => {
    expect(() => sparsified({ damping: 0.03, dampingRetries: 1 }, dense(w), indefinite)).toThrow(
      /up_proj of layer 3: its Hessian must be positive definite, but column [01] fails with damping 0.03 and 1 retries/,
    );
  });

  it.each([Number.NaN, Infinity])("a weight of %f is refused", (bad) => {
    const statistics = statisticsOf(inputs(9, 3, 1));
    expect(() => sparsified({}, dense([[1, bad, 2]]), statistics)).toThrow(
      expect.objectContaining({ code: "ERR_MODEL_TENSOR" }),
    );
  });

  it("weights that leave the range of float32 while they are compensated are an error, not infinities", () => {
    const equal = statisticsOf([[1, 1]]);
    expect(() => sparsified({ pattern: { keep: 1, of: 2 } }, dense([[3e38, 3e38]]), equal)).toThrow(
      expect.objectContaining({ code: "ERR_NON_FINITE" }),
    );
  });

  it.each([
    ["NaN", { tokens: 9, sequences: 1, hessian: new Float32Array(9).fill(Number.NaN) }],
    ["no Hessian", { tokens: 9, sequences: 1 }],
    ["a Hessian of another size", { tokens: 9, sequences: 1, hessian: new Float32Array(4) }],
    ["no tokens", { tokens: 0, sequences: 0, hessian: new Float32Array(9) }],
  ])("statistics with %s are refused", (_, statistics) => {
    expect(() => sparsified({}, dense(w), statistics)).toThrow(expect.objectContaining({ code: "ERR_CALIBRATION" }));
  });
});

describe("sparsegpt options", () => {
  it("defaults are those of the reference at 50 %", () => {
    const defaults = plugin.options.parse({});
    expect(defaults).toEqual({
      sparsity: 0.5,
      pattern: "unstructured",
      cut: "threshold",
      blockSize: 128,
      damping: 0.01,
      dampingRetries: 3,
    });
    expect(plugin.check!(defaults, model)).toEqual([]);
  });

  it("blockSize must be a multiple of pattern.of", () => {
    const given = { pattern: { keep: 2, of: 4 }, blockSize: 6 };
    expect(plugin.check!(plugin.options.parse(given), model)).toMatchObject([{ path: ["blockSize"] }]);
    expect(plugin.check!(plugin.options.parse({ ...given, blockSize: 12 }), model)).toEqual([]);
  });

  it.each([
    { sparsity: 1.1 },
    { sparsity: -0.1 },
    { blockSize: 0 },
    { damping: 0 },
    { dampingRetries: 9 },
    { bits: 1 },
    { bits: 16 },
    { cut: "exact" },
    { pattern: { keep: 2, of: 3 } },
    { percdamp: 0.01 },
  ])("%j does not fit the schema", (given) => {
    expect(plugin.options.safeParse(given).success).toBe(false);
  });
});

describe("sparsegpt fixtures", () => {
  const files = fixtureFiles("sparsegpt", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
