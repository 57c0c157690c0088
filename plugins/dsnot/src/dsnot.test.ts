import { fileURLToPath } from "node:url";
import {
  type CalibrationStatistics,
  type DenseWeight,
  type Projection,
  type WeightContext,
  withoutWeights,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { statisticsOf } from "./fixtures.js";
import plugin from "./index.js";
import { oracleRow, oracleStatistics } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };

interface Case {
  readonly matrix: number[][];
  /** `[sequence][token][in]`. */
  readonly inputs: number[][][];
}

function denseOf(matrix: number[][]): DenseWeight {
  const [outFeatures, inFeatures] = [matrix.length, matrix[0].length];
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data: Float32Array.from(matrix.flat()) };
}

function contextOf(
  { matrix, inputs }: Case,
  projection: Projection = "q_proj",
  weight = denseOf(matrix),
): WeightContext {
  const statistics: CalibrationStatistics = statisticsOf(
    Float32Array.from(inputs.flat(2)),
    inputs.length,
    inputs[0].length,
  );
  return { layer: 1, projection, weight, original: weight, statistics, dtype: "f32", operations };
}

function refine(given: object, context: WeightContext): DenseWeight {
  return plugin.create(plugin.options.parse(given), model).sparsify(context) as DenseWeight;
}

const keptOf = ({ data }: DenseWeight) => Array.from(data, (w) => w !== 0);
const keptBy = (given: object, context: WeightContext) => keptOf(refine(given, context));
const places = (kept: boolean[]) => kept.flatMap((bit, j) => (bit ? [j] : []));

/** Inputs whose features have means, so that there is something to refine. */
function randomCase(rows: number, columns: number, seed: number): Case {
  const random = new Seeded(seed);
  const means = random.normals(columns);
  return {
    matrix: Array.from({ length: rows }, () => Array.from(random.normals(columns))),
    inputs: Array.from({ length: 3 }, () =>
      Array.from({ length: 5 }, () => Array.from(random.normals(columns), (x, j) => x + means[j])),
    ),
  };
}

/** The context of a refiner that comes after a sparsifier which kept `kept` of the original. */
function after(context: WeightContext, kept: boolean[]): WeightContext {
  return { ...context, weight: withoutWeights(context.weight, Uint8Array.from(kept, Number)) };
}

describe("dsnot", () => {
  const row: Case = {
    matrix: [[0.5, 0.8, 0.6, -0.1, -0.4, -0.4, 0.2, 0.7]],
    inputs: [
      [
        [0, 1, -2, 1, 2, -2, 3, -2],
        [-1, 3, 0, 0, 3, 0, 2, 3],
      ],
    ],
  };
  const worked = { initial: "wanda", sparsity: 0.5, updateThreshold: 0.3 };

  it("S, Q and V of two tokens are sums, sums of squares and population variances (worked example)", () => {
    const { s, q, v } = oracleStatistics(row.inputs);
    expect([s, q, v]).toEqual([
      [-1, 4, -2, 1, 5, -2, 5, 1],
      [1, 10, 4, 1, 13, 4, 13, 13],
      [0.25, 1, 1, 0.25, 0.25, 1, 0.25, 6.25],
    ]);
  });

  it.each([
    ["Wanda keeps {1, 2, 4, 7}", { skipLayer: "self_attn" }, [1, 2, 4, 7]],
    ["cycle 1 grows 6 and prunes 2", { maxCycles: 1 }, [1, 4, 6, 7]],
    ["cycle 2 grows 0 and prunes 7, which ends within the threshold", {}, [0, 1, 4, 6]],
    ["the sign test ends before cycle 1, which would turn the error from 1.2 to -1", { sameSign: true }, [1, 2, 4, 7]],
    ["an error of 1.2 within the threshold moves nothing", { updateThreshold: 1.21 }, [1, 2, 4, 7]],
  ])("50 %%: %s (worked example)", (_, given, expected) => {
    expect(places(keptBy({ ...worked, ...given }, contextOf(row)))).toEqual(expected);
  });

  it("reports the number of swaps (worked example: 2)", () => {
    const facts: object[] = [];
    refine(worked, { ...contextOf(row), report: (more: object) => void facts.push(more) });
    expect(facts).toEqual([{ swaps: 2 }]);
  });

  const groups: Case = {
    matrix: [[-0.3, -0.8, -0.2, -0.7, 0.9, 0.3, 0.5, -0.4]],
    inputs: [
      [
        [0, -2, 0, -1, 3, -2, 3, 2],
        [-1, 0, 3, 3, -1, -1, -1, 3],
      ],
    ],
  };
  const twoOfFour = { initial: "wanda", pattern: { keep: 2, of: 4 } };

  it.each([
    ["Wanda keeps {1, 3, 4, 6}", { skipSubLayer: "q_proj" }, [1, 3, 4, 6]],
    ["grows 7 for 6, then stops, for the next swap would turn the error's sign", {}, [1, 3, 4, 7]],
  ])("2:4: %s (worked example)", (_, given, expected) => {
    expect(places(keptBy({ ...twoOfFour, ...given }, contextOf(groups)))).toEqual(expected);
  });

  it("2:4 makes a swap that enlarges the error (grow 0, prune 2), and stops with 4 weights where no candidate is left", () => {
    const worse: Case = {
      matrix: [[-0.6, -0.8, 0.7, 0.6, -0.7, 0.2, 0.5, -0.6]],
      inputs: [
        [
          [-1, 2, 3, -1, 1, 1, 1, 0],
          [-2, 3, 2, 0, 0, 0, -2, 2],
        ],
      ],
    };
    const initial = keptBy({ ...twoOfFour, skipLayer: "self_attn" }, contextOf(worse));
    const first = keptBy({ ...twoOfFour, maxCycles: 1 }, contextOf(worse));
    expect(places(initial.map((bit, j) => bit !== first[j]))).toEqual([0, 2]);
    expect(places(keptBy(twoOfFour, contextOf(worse)))).toHaveLength(4);
  });

  it.each(
    [1, 5, 8, 33, 96].flatMap((columns) =>
      [
        { sparsity: 0.5 },
        { sparsity: 0.7, sameSign: true },
        { sparsity: 0.3, growVariancePower: 0 },
        { pattern: { keep: 2, of: 4 } },
        { pattern: { keep: 3, of: 8 }, maxCycles: 3 },
      ].map((given) => ({ columns, given })),
    ),
  )("keeps what the float64 oracle keeps: $columns inputs, $given", ({ columns, given }) => {
    for (const initial of ["wanda", "magnitude"]) {
      const problem = randomCase(12, columns, columns);
      const context = contextOf(problem);
      const before = keptBy({ initial, ...given, skipLayer: "self_attn" }, context);
      const kept = keptBy({ initial, ...given }, context);
      const statistics = oracleStatistics(problem.inputs);
      const options = {
        maxCycles: 50,
        updateThreshold: 0.1,
        power: "growVariancePower" in given ? given.growVariancePower! : 1,
        sameSign: false,
        of: "pattern" in given ? given.pattern!.of : 0,
        ...given,
      };
      problem.matrix.forEach((w, o) => {
        const part = (mask: boolean[]) => mask.slice(o * columns, (o + 1) * columns);
        const scores = w.map((x, j) => Math.abs(x) * (initial === "wanda" ? Math.sqrt(statistics.q[j]) : 1));
        expect(part(kept)).toEqual(oracleRow(w, statistics, part(before), scores, options));
      });
    }
  });

  it.each([{ sparsity: 0.6 }, { pattern: { keep: 2, of: 4 } }, { pattern: { keep: 3, of: 16 } }])(
    "%j: moves the mask, never the count of a row or group, and every value is the dense one",
    (given) => {
      const context = contextOf(randomCase(16, 50, 9));
      const before = keptBy({ initial: "wanda", ...given, skipLayer: "self_attn" }, context);
      const refined = refine({ initial: "wanda", ...given }, context);
      const kept = keptOf(refined);
      expect(kept).not.toEqual(before);
      kept.forEach((bit, e) => {
        expect(refined.data[e]).toBe(bit ? context.weight.data[e] : 0);
      });
      const size = "pattern" in given ? given.pattern!.of : 50;
      for (let o = 0; o < 16; o++) {
        for (let start = 0; start < 50; start += size) {
          const [from, to] = [o * 50 + start, o * 50 + Math.min(50, start + size)];
          expect(places(kept.slice(from, to))).toHaveLength(places(before.slice(from, to)).length);
        }
      }
    },
  );

  it("every row ends within the threshold, at maxCycles, or with no candidate, and closer to zero on the whole", () => {
    const problem = randomCase(32, 200, 10);
    const context = contextOf(problem);
    const { s } = oracleStatistics(problem.inputs);
    const errors = (kept: boolean[]) =>
      problem.matrix.map((w, o) => Math.abs(w.reduce((sum, x, j) => (kept[o * 200 + j] ? sum : sum + x * s[j]), 0)));
    const before = errors(keptBy({ initial: "wanda", sparsity: 0.7, skipLayer: "self_attn" }, context));
    const refined = errors(keptBy({ initial: "wanda", sparsity: 0.7, updateThreshold: 2 }, context));
    expect(before.filter((error) => error <= 2).length).toBeLessThan(32);
    expect(refined.filter((error) => error <= 2).length).toBeGreaterThan(before.filter((error) => error <= 2).length);
  });
});

describe("dsnot initial", () => {
  it("given refines the mask before it as the same mask of its own, and reads revived values from the original", () => {
    for (const given of [{ sparsity: 0.6 }, { pattern: { keep: 2, of: 4 } }]) {
      const context = contextOf(randomCase(8, 40, 3));
      const start = keptBy({ initial: "wanda", ...given, skipLayer: "self_attn" }, context);
      expect(refine(given, after(context, start)).data).toEqual(refine({ initial: "wanda", ...given }, context).data);
    }
  });

  it("given keeps changed values of the sparsifier before it, and counts their change as part of the error", () => {
    const context = contextOf(row3());
    const weight = { ...denseOf([[2, 0, 0]]), data: Float32Array.of(2, 0, 0) };
    // Dense 1 * 1 + 1 * 1 + -1 * 1; sparse 2 * 1: the error is -1, so weight 2 (c = -1) grows; nothing positive but 0 can go.
    expect(Array.from(refine({ updateThreshold: 0.5 }, { ...context, weight }).data)).toEqual([0, 0, -1]);
    expect(Array.from(refine({ updateThreshold: 1 }, { ...context, weight }).data)).toEqual([2, 0, 0]);
  });

  it("given without a sparsifier before it is refused", () => {
    const run = () => refine({}, contextOf(randomCase(2, 4, 1)));
    expect(run).toThrow(expect.objectContaining({ code: "ERR_PLAN_CONFLICT" }));
    expect(run).toThrow("no sparsifier before dsnot changed it");
  });

  it("given after a sparsifier that left everything changes nothing", () => {
    const context = contextOf(randomCase(3, 6, 2));
    expect(refine({}, after(context, new Array(18).fill(true))).data).toEqual(context.weight.data);
  });

  it("magnitude is by row, and in N:M prunes by magnitude inside the group", () => {
    const context = contextOf(randomCase(4, 9, 6));
    const kept = keptBy({ initial: "magnitude", sparsity: 0.5, skipLayer: "self_attn" }, context);
    for (let o = 0; o < 4; o++) {
      const row = Array.from(context.weight.data.slice(o * 9, o * 9 + 9), Math.abs);
      const limit = [...row].sort((a, b) => a - b)[4];
      expect(kept.slice(o * 9, o * 9 + 9)).toEqual(row.map((w) => w >= limit));
    }
  });

  it("sparsegpt of uncorrelated inputs of powers a_j scores w^2 * (a_j + damping * mean a), and dead inputs go first", () => {
    const context = contextOf(row3());
    const hessian = Float32Array.of(4, 0, 0, 0, 1, 0, 0, 0, 0);
    const statistics = { ...context.statistics, hessian };
    const weight = denseOf([
      [1, 1.9, 100],
      [1, 2.1, 100],
    ]);
    const given = { initial: "sparsegpt", sparsity: 2 / 3, skipLayer: "self_attn", damping: 1e-6 };
    const kept = keptBy(given, { ...context, weight, original: weight, statistics });
    expect(kept).toEqual([true, false, false, false, true, false]);
  });

  it("sparsegpt with a Hessian that is not positive definite is refused", () => {
    const context = contextOf({ ...row3(), matrix: [[1, 1, 1]] });
    const statistics = { ...context.statistics, hessian: Float32Array.of(1, 9, 0, 9, 1, 0, 0, 0, 1) };
    const run = () => refine({ initial: "sparsegpt" }, { ...context, statistics });
    expect(run).toThrow(expect.objectContaining({ code: "ERR_CALIBRATION" }));
    expect(run).toThrow("not positive definite");
  });

  function row3(): Case {
    return { matrix: [[1, 1, -1]], inputs: [[[1, 1, 1]]] };
  }
});

describe("dsnot skips", () => {
  it.each([
    ["mlp", "none", ["gate_proj", "up_proj", "down_proj"]],
    ["self_attn", "none", ["q_proj", "k_proj", "v_proj", "o_proj"]],
    ["none", "none", []],
    ["none", "v_proj", ["v_proj"]],
    ["mlp", "o_proj", ["o_proj", "gate_proj", "up_proj", "down_proj"]],
  ])("skipLayer %s and skipSubLayer %s leave the initial mask of %j", (skipLayer, skipSubLayer, skipped) => {
    const problem = randomCase(8, 40, 5);
    const initial = keptBy({ initial: "wanda", skipSubLayer: "q_proj" }, contextOf(problem, "q_proj"));
    for (const projection of ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const) {
      const kept = keptBy({ initial: "wanda", skipLayer, skipSubLayer }, contextOf(problem, projection));
      expect(String(kept) === String(initial)).toBe(skipped.includes(projection));
    }
  });
});

describe("dsnot statistics", () => {
  it.each([
    [{}, ["mean", "norm", "withinVariance"]],
    [{ varianceOf: "all-tokens" }, ["mean", "norm", "variance"]],
    [{ initial: "sparsegpt" }, ["mean", "norm", "withinVariance", "hessian"]],
  ])("%j reads %j", (given, expected) => {
    expect(plugin.create(plugin.options.parse(given), model).statistics).toEqual(expected);
  });

  it("varianceOf all-tokens also counts differences between sequences", () => {
    // Features 0 and 1 gain alike; 0 is steady inside each sequence and differs between them, 1 the other way round.
    const problem: Case = {
      matrix: [[1, 1, -2, 9]],
      inputs: [
        [
          [1, 1, 1, 1],
          [1, 3, 1, 1],
        ],
        [
          [3, 1, 1, 1],
          [3, 3, 1, 1],
        ],
      ],
    };
    const context = contextOf(problem);
    const start = after(context, [false, false, true, true]);
    const constant = {
      ...context.statistics,
      withinVariance: Float32Array.of(0.5, 1, 1, 1),
      variance: Float32Array.of(2, 1, 1, 1),
    };
    const kept = (varianceOf: string) =>
      places(keptBy({ varianceOf, maxCycles: 1 }, { ...start, statistics: constant }));
    expect(kept("within-sequence")).toEqual([0, 3]);
    expect(kept("all-tokens")).toEqual([1, 3]);
    expect(places(keptBy({ maxCycles: 1 }, start))).toEqual([0, 3]);
  });

  it("a constant input has no variance and is grown first, without dividing by zero", () => {
    const problem: Case = {
      matrix: [[1, 1, -2, 9]],
      inputs: [
        [
          [1, 9, 1, 1],
          [1, 2, 2, 3],
        ],
      ],
    };
    const kept = keptBy({ maxCycles: 1 }, after(contextOf(problem), [false, false, true, true]));
    expect(places(kept)).toEqual([0, 3]);
  });

  it("inputs of mean zero and dead inputs are never moved", () => {
    const problem: Case = {
      matrix: [[1, 2, 3, 4]],
      inputs: [
        [
          [1, 0, -1, 0],
          [-1, 0, 1, 0],
        ],
      ],
    };
    const start = after(contextOf(problem), [true, false, true, false]);
    expect(places(keptBy({ updateThreshold: 0 }, start))).toEqual([0, 2]);
  });
});

describe("dsnot edges", () => {
  it.each([0, 1])("sparsity %i leaves nothing to swap", (sparsity) => {
    for (const [rows, columns] of [
      [1, 1],
      [4, 9],
    ]) {
      const context = contextOf(randomCase(rows, columns, 7));
      const expected = sparsity === 0 ? context.weight.data : new Float32Array(rows * columns);
      expect(refine({ initial: "wanda", sparsity }, context).data).toEqual(expected);
    }
  });

  it("rows of zeros and rows shorter than a group stay as they are", () => {
    const context = contextOf({
      ...randomCase(2, 3, 8),
      matrix: [
        [0, 0, 0],
        [1, 2, 3],
      ],
    });
    const given = { initial: "magnitude", pattern: { keep: 2, of: 8 }, updateThreshold: 1e9 };
    expect(Array.from(refine(given, context).data)).toEqual([0, 0, 0, 0, 2, 3]);
  });

  it("a NaN in the weight or in the original is refused", () => {
    const context = contextOf(randomCase(2, 4, 1));
    const bad = {
      ...context.weight,
      data: context.weight.data.map((w, e) => (e === 5 ? Number.NaN : w)),
    } as DenseWeight;
    for (const broken of [{ weight: bad }, { original: bad }]) {
      const run = () => refine({}, { ...context, ...broken });
      expect(run).toThrow(expect.objectContaining({ code: "ERR_MODEL_TENSOR" }));
      expect(run).toThrow("weight (1, 1) is NaN");
    }
  });

  it.each(["mean", "norm", "withinVariance"] as const)("a missing %s is refused", (name) => {
    const context = contextOf(randomCase(2, 4, 1));
    const statistics = { ...context.statistics, [name]: undefined };
    expect(() => refine({ initial: "wanda" }, { ...context, statistics })).toThrow(
      expect.objectContaining({ code: "ERR_CALIBRATION" }),
    );
  });

  it.each([
    { maxCycles: 0 },
    { updateThreshold: -1 },
    { initial: "random" },
    { skipLayer: "attention" },
    { sameSign: "False" },
    { damping: 0 },
  ])("%j does not fit the schema", (given) => expect(plugin.options.safeParse(given).success).toBe(false));
});

describe("dsnot fixtures", () => {
  const files = fixtureFiles("dsnot", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
