import { fileURLToPath } from "node:url";
import { type CalibrationStatistics, type DenseWeight, fromBf16, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded, toStored } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracleKept, oracleKeptByMass } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };

function contextOf(matrix: number[][], norm: ArrayLike<number>, dtype: "f32" | "bf16" = "f32"): WeightContext {
  const data = toStored(matrix.flat(), dtype);
  const weight: DenseWeight = {
    format: "dense",
    dtype,
    outFeatures: matrix.length,
    inFeatures: matrix[0].length,
    data,
  };
  const statistics: CalibrationStatistics = { tokens: 1, sequences: 1, norm: Float32Array.from(norm) };
  return { layer: 3, projection: "up_proj", weight, original: weight, statistics, dtype, operations };
}

function prune(given: object, context: WeightContext): number[] {
  const { data, dtype } = plugin.create(plugin.options.parse(given), model).sparsify(context) as DenseWeight;
  return Array.from(data, (x) => (dtype === "bf16" ? fromBf16(x) : x));
}

const keptBy = (given: object, context: WeightContext) => prune(given, context).map((w) => Number(w !== 0));

const random = (seed: number) => {
  const numbers = new Seeded(seed);
  return (rows: number, columns: number) => Array.from({ length: rows }, () => Array.from(numbers.normals(columns)));
};

const normOf = (inputs: number[][]) =>
  inputs[0].map((_, j) => Math.sqrt(inputs.reduce((sum, x) => sum + x[j] ** 2, 0)));

const zerosOf = (kept: number[]) => kept.filter((bit) => bit === 0).length;

describe("wanda", () => {
  const example = [
    [2, -1, 0.5, 3],
    [-0.2, 4, 1, -1],
  ];
  const norms = [1, 5, 6, 0.5];

  it.each([
    ["50 %", { sparsity: 0.5 }],
    ["2:4", { pattern: { keep: 2, of: 4 } }],
  ])(
    "%s of scores [2, 5, 3, 1.5] and [.2, 20, 6, .5] keeps columns 1 and 2 of both rows (worked example)",
    (_, given) => {
      expect(prune(given, contextOf(example, norms))).toEqual([0, -1, 0.5, 0, 0, 4, 1, 0]);
    },
  );

  it("equal norms are magnitude by row: columns 0 and 3 of the first row stay", () => {
    expect(prune({}, contextOf(example, [1, 1, 1, 1])).slice(0, 4)).toEqual([2, 0, 0, 3]);
  });

  it.each([
    { rows: 1, columns: 1 },
    { rows: 3, columns: 5 },
    { rows: 17, columns: 33 },
    { rows: 8, columns: 64 },
  ])("keeps what the float64 oracle keeps, unstructured and N:M: $rows x $columns", ({ rows, columns }) => {
    const make = random(rows);
    const [matrix, inputs] = [make(rows, columns), make(9, columns)];
    const context = contextOf(matrix, normOf(inputs));
    for (const sparsity of [0.1, 0.5, 0.7, 0.95]) {
      expect(keptBy({ sparsity }, context)).toEqual(oracleKept(matrix, inputs, (size) => Math.floor(size * sparsity)));
    }
    for (const [keep, of] of [
      [1, 2],
      [2, 4],
      [1, 4],
      [4, 8],
      [5, 16],
    ]) {
      const removed = (size: number) => size - Math.min(keep, size);
      expect(keptBy({ pattern: { keep, of } }, context)).toEqual(oracleKept(matrix, inputs, removed, of));
    }
  });

  it.each([0.3, 0.5, 0.7])(
    "variant keeps what the oracle keeps at one alpha, with sparsity %f within 0.001",
    (sparsity) => {
      const make = random(11);
      const [matrix, inputs] = [make(48, 64), make(20, 64)];
      const kept = keptBy({ sparsity, variant: true }, contextOf(matrix, normOf(inputs)));
      expect(Math.abs(zerosOf(kept) / kept.length - sparsity)).toBeLessThanOrEqual(0.001);
      // Every alpha that ten halvings of [0, 0.8] can reach.
      const grid = Array.from({ length: 1025 }, (_, i) => (0.8 * i) / 1024);
      expect(grid.some((alpha) => String(oracleKeptByMass(matrix, inputs, alpha)) === String(kept))).toBe(true);
    },
  );

  it("variant meets a target beyond alpha = 0.8, where the reference code stops short", () => {
    const make = random(12);
    const context = contextOf(make(64, 96), normOf(make(20, 96)));
    const kept = keptBy({ sparsity: 0.98, variant: true }, context);
    expect(Math.abs(zerosOf(kept) / kept.length - 0.98)).toBeLessThanOrEqual(0.001);
  });

  it.each([
    [4095, 0.5, 2047],
    [7, 0.5, 3],
    [10, 0.7, 7],
  ])("every row of %i weights has exactly floor(in * sparsity) zeros: %f gives %i", (columns, sparsity, expected) => {
    const make = random(1);
    const kept = keptBy({ sparsity }, contextOf(make(3, columns), normOf(make(2, columns))));
    for (const row of [0, 1, 2]) expect(zerosOf(kept.slice(row * columns, (row + 1) * columns))).toBe(expected);
  });

  it.each([{ sparsity: 0.6 }, { pattern: { keep: 2, of: 4 } }, { sparsity: 0.5, variant: true }])(
    "%j: kept weights keep their bits, and neither scaling all inputs nor moving a power of two from weights to inputs changes the mask",
    (given) => {
      const make = random(2);
      const [matrix, norm] = [make(16, 24), normOf(make(5, 24))];
      const pruned = prune(given, contextOf(matrix, norm));
      const kept = pruned.map((w) => Number(w !== 0));
      expect(pruned).toEqual(kept.map((bit, e) => (bit ? matrix.flat()[e] : 0)));
      expect(
        keptBy(
          given,
          contextOf(
            matrix,
            norm.map((x) => x * 8),
          ),
        ),
      ).toEqual(kept);
      const divided = matrix.map((row) => row.map((w, j) => w / 2 ** ((j % 3) - 1)));
      expect(
        keptBy(
          given,
          contextOf(
            divided,
            norm.map((x, j) => x * 2 ** ((j % 3) - 1)),
          ),
        ),
      ).toEqual(kept);
      const reversed = keptBy(given, contextOf([...matrix].reverse(), norm));
      expect(reversed.slice(0, 24)).toEqual(kept.slice(-24));
    },
  );
});

describe("wanda edges", () => {
  it("dead inputs go first, whatever their weights", () => {
    expect(prune({}, contextOf([[9, 1, -9, 2]], [0, 1, 0, 1]))).toEqual([0, 1, 0, 2]);
    expect(prune({ variant: true }, contextOf([[9, 1, -9, 1]], [0, 1, 0, 1]))).toEqual([0, 1, 0, 1]);
  });

  it("equal scores go in order of columns", () => {
    expect(prune({}, contextOf([[1, -1, 1, 1]], [2, 2, 2, 2]))).toEqual([0, 0, 1, 1]);
  });

  it("a matrix that no input reached is pruned by magnitude, and says so", () => {
    const facts: object[] = [];
    const context = { ...contextOf([[4, 1, -2, 3]], [0, 0, 0, 0]), report: (more: object) => void facts.push(more) };
    expect(prune({}, context)).toEqual([4, 0, 0, 3]);
    expect(facts).toEqual([{ score: "magnitude, for no input reached the matrix" }]);
  });

  it.each([{}, { variant: true }])("%j: sparsity 0 changes nothing, sparsity 1 leaves zeros", (given) => {
    for (const [rows, columns] of [
      [1, 1],
      [3, 5],
    ]) {
      const matrix = random(4)(rows, columns);
      const context = contextOf(matrix, new Array(columns).fill(1));
      expect(prune({ ...given, sparsity: 0 }, context)).toEqual(Array.from(context.weight.data));
      expect(prune({ ...given, sparsity: 1 }, context)).toEqual(new Array(rows * columns).fill(0));
    }
  });

  it.each([{}, { variant: true }, { pattern: { keep: 1, of: 4 } }])("%j: rows of zeros stay zeros", (given) => {
    const pruned = prune(
      given,
      contextOf(
        [
          [0, 0, 0, 0],
          [1, 2, 3, 4],
        ],
        [1, 1, 1, 1],
      ),
    );
    expect(pruned.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(pruned[7]).toBe(4);
  });

  it("a shorter last group of N:M keeps min(keep, size), also where the row is shorter than a group", () => {
    const given = { pattern: { keep: 2, of: 4 } };
    expect(prune(given, contextOf([[4, 3, 2, 1, 1]], [1, 1, 1, 1, 1]))).toEqual([4, 3, 0, 0, 1]);
    expect(prune(given, contextOf([[1, 3, 2]], [1, 1, 1]))).toEqual([0, 3, 2]);
  });

  it.each(["f32", "bf16"] as const)("a NaN weight is refused with its place: %s", (dtype) => {
    const run = () => prune({}, contextOf([[1, Number.NaN]], [1, 1], dtype));
    expect(run).toThrow(expect.objectContaining({ code: "ERR_MODEL_TENSOR" }));
    expect(run).toThrow("Cannot prune up_proj of layer 3: weight (0, 1) is NaN");
  });

  it.each([
    ["absent", {}, "is absent"],
    ["too short", { norm: Float32Array.of(1) }, "holds 1 numbers, expected 2"],
    ["not finite", { norm: Float32Array.of(1, Infinity) }, "is Infinity at 1"],
  ])("a norm that is %s is refused", (_, given, message) => {
    const context = { ...contextOf([[1, 2]], [1, 1]), statistics: { tokens: 1, sequences: 1, ...given } };
    expect(() => prune({}, context)).toThrow(expect.objectContaining({ code: "ERR_CALIBRATION" }));
    expect(() => prune({}, context)).toThrow(message);
  });
});

describe("wanda options", () => {
  const problems = (given: object) => plugin.check!(plugin.options.parse(given), model);

  it("variant with N:M is refused", () => {
    expect(problems({ variant: true, pattern: { keep: 2, of: 4 } })).toMatchObject([{ path: ["variant"] }]);
    expect(problems({ variant: true })).toEqual([]);
    expect(problems({ pattern: { keep: 2, of: 4 } })).toEqual([]);
  });

  it.each([{ sparsity: 1.5 }, { pattern: { keep: 2, of: 3 } }, { variant: 1 }, { nsamples: 128 }])(
    "%j does not fit the schema",
    (given) => expect(plugin.options.safeParse(given).success).toBe(false),
  );
});

describe("wanda fixtures", () => {
  const files = fixtureFiles("wanda", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
