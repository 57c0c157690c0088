import { fileURLToPath } from "node:url";
import { type DenseWeight, fromBf16, toBf16, type WinnowError } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded, toStored } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { pruneModel } from "./fixtures.js";
import plugin from "./index.js";
import { countHigh, locate, magnitudeBits, smallest } from "./magnitude-bits.js";
import { type OracleScope, oracleGlobal, oracleKept } from "./oracle.js";

const operations = createReference();
const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };
const scopes = ["global", "layer", "layer-threshold", "row"] as const;

function weightOf(matrix: number[][], dtype: "f32" | "bf16" = "f32"): DenseWeight {
  return {
    format: "dense",
    dtype,
    outFeatures: matrix.length,
    inFeatures: matrix[0].length,
    data: toStored(matrix.flat(), dtype),
  };
}

function prune(given: object, ...weights: DenseWeight[]): DenseWeight[] {
  return pruneModel(plugin.create(plugin.options.parse(given), model), weights, operations);
}

const valuesOf = ({ data, dtype }: DenseWeight) => Array.from(data, (x) => (dtype === "bf16" ? fromBf16(x) : x));
const keptOf = (weight: DenseWeight) => valuesOf(weight).map((w) => Number(w !== 0));

/** Multiples of `step`, so that ties are common, and never 0, so that a zero is a removed weight. */
function randomMatrix(random: Seeded, rows: number, columns: number, step = 0): number[][] {
  const value = () => (step ? (random.integer(1, 8) - 4.5) * step : random.normal());
  return Array.from({ length: rows }, () => Array.from({ length: columns }, value));
}

describe("magnitude", () => {
  const example = [
    [4, 0, 1, -1],
    [3, -2, -1, -3],
  ];

  it.each([
    [
      "layer-threshold prunes 5 of 8: all |w| <= 2, element 4 of the sorted ones",
      { scope: "layer-threshold" },
      [4, 0, 0, 0, 3, 0, 0, -3],
    ],
    ["layer prunes exactly 4: 0 and three ones", { scope: "layer" }, [4, 0, 0, 0, 3, -2, 0, -3]],
    ["global equals layer for a single matrix", { scope: "global" }, [4, 0, 0, 0, 3, -2, 0, -3]],
    ["row prunes 0 and the first 1, then -1 and -2", { scope: "row" }, [4, 0, 0, -1, 3, 0, 0, -3]],
    ["2:4 equals row here", { pattern: { keep: 2, of: 4 } }, [4, 0, 0, -1, 3, 0, 0, -3]],
  ])("%s (worked example)", (_, given, expected) => {
    expect(valuesOf(prune(given, weightOf(example))[0])).toEqual(expected);
  });

  it.each(
    [...scopes.slice(1), { keep: 1, of: 2 }, { keep: 2, of: 4 }, { keep: 1, of: 4 }, { keep: 4, of: 8 }].flatMap(
      (scope) => [0.1, 0.5, 0.65, 0.9].map((sparsity) => ({ scope, sparsity })),
    ),
  )(
    "keeps what the sorting oracle keeps: $scope at $sparsity, f32 and bf16, ties and widths that no group divides",
    ({ scope, sparsity }) => {
      const random = new Seeded(5);
      const given = typeof scope === "string" ? { scope, sparsity } : { pattern: scope };
      for (const [rows, columns] of [
        [1, 16],
        [16, 1],
        [7, 33],
        [24, 64],
      ]) {
        for (const step of [0, 0.5]) {
          for (const dtype of ["f32", "bf16"] as const) {
            const weight = weightOf(randomMatrix(random, rows, columns, step), dtype);
            const matrix = Array.from({ length: rows }, (_, o) =>
              valuesOf(weight).slice(o * columns, (o + 1) * columns),
            );
            const expected = oracleKept(matrix, scope as OracleScope, sparsity);
            if (scope === "layer-threshold" && expected.every((kept) => kept === 0)) continue;
            expect(keptOf(prune(given, weight)[0])).toEqual(expected);
          }
        }
      }
    },
  );

  it.each([0.1, 0.5, 0.9])(
    "global keeps what the oracle keeps over all matrices, ties by order of matrices: p = %f",
    (sparsity) => {
      const random = new Seeded(6);
      for (const step of [0, 0.5]) {
        for (const dtype of ["f32", "bf16"] as const) {
          const weights = [
            [8, 12],
            [3, 5],
            [1, 1],
            [20, 9],
          ].map(([rows, columns]) => weightOf(randomMatrix(random, rows, columns, step), dtype));
          const expected = oracleGlobal(
            weights.map((weight) => [valuesOf(weight)]),
            sparsity,
          );
          expect(prune({ scope: "global", sparsity }, ...weights).map(keptOf)).toEqual(expected);
        }
      }
    },
  );

  it("global resolves float32 magnitudes that share their upper 16 bits", () => {
    const close = Array.from({ length: 64 }, (_, i) => 1 + ((i * 37) % 64) * 2 ** -23);
    const weights = [weightOf([close.slice(0, 20)]), weightOf([close.slice(20)])];
    const expected = oracleGlobal([[close.slice(0, 20)], [close.slice(20)]], 0.4);
    expect(prune({ scope: "global", sparsity: 0.4 }, ...weights).map(keptOf)).toEqual(expected);
  });

  it("global with an override of sparsity for some matrices prunes the others among themselves", () => {
    const weights = [weightOf([[1, 2, 3, 4]]), weightOf([[5, 6, 7, 8]])];
    const [lower, higher] = [0.25, 0.75].map((sparsity) => plugin.create(plugin.options.parse({ sparsity }), model));
    const contexts = weights.map((weight, m) => ({
      ...{ layer: m, projection: "q_proj" as const, weight, original: weight, dtype: "f32" as const, operations },
      statistics: { tokens: 0, sequences: 0 },
    }));
    let surveys: unknown[] = [undefined, undefined];
    for (const _ of [0, 1]) {
      const values = [lower, higher].map(({ survey }, m) => survey!.measure({ ...contexts[m], survey: surveys[m] }));
      const matrices = values.map((value, m) => ({ layer: m, projection: "q_proj" as const, value }));
      surveys = [lower, higher].map(({ survey }, m) => survey!.combine(matrices, surveys[m]));
    }
    const pruned = [lower, higher].map((sparsifier, m) => sparsifier.sparsify({ ...contexts[m], survey: surveys[m] }));
    expect(pruned.map((weight) => keptOf(weight as DenseWeight))).toEqual([
      [0, 1, 1, 1],
      [0, 0, 0, 1],
    ]);
  });

  it("global after another sparsifier removes by the original magnitudes, and keeps the values that it finds", () => {
    const sparsifier = plugin.create(plugin.options.parse({}), model);
    const original = weightOf([[1, 2, 3, 4]]);
    const place = { layer: 0, projection: "q_proj" } as const;
    const rest = { statistics: { tokens: 0, sequences: 0 }, dtype: "f32", operations } as const;
    const survey = [0, 1].reduce<unknown>((previous) => {
      const value = sparsifier.survey!.measure({ ...place, ...rest, weight: original, original, survey: previous });
      return sparsifier.survey!.combine([{ ...place, value }], previous);
    }, undefined);
    const pruned = sparsifier.sparsify({ ...place, ...rest, weight: weightOf([[9, 8, 0.5, 0]]), original, survey });
    expect(valuesOf(pruned as DenseWeight)).toEqual([0, 0, 0.5, 0]);
  });

  it("global reports the magnitude at its cut", () => {
    const facts: object[] = [];
    const report = (more: object) => void facts.push(more);
    pruneModel(plugin.create(plugin.options.parse({}), model), [weightOf([[1, -2, 3, 4]])], { ...operations }, report);
    expect(facts).toEqual([{ threshold: 2 }]);
  });

  it("global can empty a matrix of small weights; the other scopes cannot", () => {
    const weights = [weightOf([[1, 2, 3, 4]]), weightOf([[0.1, 0.2, 0.3, 0.4]])];
    expect(prune({ scope: "global" }, ...weights).map(keptOf)).toEqual([
      [1, 1, 1, 1],
      [0, 0, 0, 0],
    ]);
    expect(prune({ scope: "layer" }, ...weights).map(keptOf)).toEqual([
      [0, 0, 1, 1],
      [0, 0, 1, 1],
    ]);
  });

  it.each([
    ["global", true],
    ["layer", false],
    ["layer-threshold", false],
    ["row", false],
  ] as const)("%s: ten times larger weights in one matrix change the masks: %s", (scope, changes) => {
    const random = new Seeded(7);
    const [first, second] = [randomMatrix(random, 8, 16), randomMatrix(random, 8, 16)];
    const scaled = first.map((row) => row.map((w) => w * 10));
    const before = prune({ scope }, weightOf(first), weightOf(second)).map(keptOf);
    const after = prune({ scope }, weightOf(scaled), weightOf(second)).map(keptOf);
    expect(JSON.stringify(before) !== JSON.stringify(after)).toBe(changes);
  });

  it.each([...scopes])("%s: what goes at a lower sparsity also goes at a higher one", (scope) => {
    const weight = weightOf(randomMatrix(new Seeded(8), 12, 20, 0.5));
    const masks = [0.2, 0.4, 0.6].map((sparsity) => keptOf(prune({ scope, sparsity }, weight)[0]));
    for (const [less, more] of [masks.slice(0, 2), masks.slice(1)]) {
      expect(more.every((kept, e) => kept <= less[e])).toBe(true);
    }
  });

  it.each([...scopes])(
    "%s: kept weights keep their bits, and none of them is below a removed one of its group",
    (scope) => {
      const weight = weightOf(randomMatrix(new Seeded(9), 6, 31));
      const pruned = valuesOf(prune({ scope, sparsity: 0.6 }, weight)[0]);
      const rows = scope === "row" ? 6 : 1;
      const size = pruned.length / rows;
      for (let group = 0; group < rows; group++) {
        const places = Array.from({ length: size }, (_, i) => group * size + i);
        const gone = places.filter((e) => pruned[e] === 0).map((e) => Math.abs(weight.data[e]));
        const kept = places.filter((e) => pruned[e] !== 0);
        for (const e of kept) expect(pruned[e]).toBe(weight.data[e]);
        expect(Math.min(...kept.map((e) => Math.abs(pruned[e])))).toBeGreaterThanOrEqual(Math.max(...gone));
      }
    },
  );

  it.each([
    ["layer", 8],
    ["layer-threshold", 9],
  ] as const)("%s prunes %i of 16 distinct weights at p = 0.5", (scope, expected) => {
    const distinct = weightOf([Array.from({ length: 16 }, (_, i) => i + 1)]);
    expect(keptOf(prune({ scope }, distinct)[0]).filter((kept) => kept === 0)).toHaveLength(expected);
  });

  it.each([
    [5, 0.5, 2],
    [7, 0.5, 4],
    [1287, 0.5, 644],
  ])("layer rounds a half to even: %i weights at %f, %i go", (count, sparsity, expected) => {
    const weight = weightOf([Array.from({ length: count }, (_, i) => i + 1)]);
    expect(keptOf(prune({ scope: "layer", sparsity }, weight)[0]).filter((kept) => kept === 0)).toHaveLength(expected);
  });
});

describe("magnitude edges", () => {
  it.each([...scopes])("%s: p = 0 changes nothing, p = 1 leaves zeros, on matrices down to 1 x 1", (scope) => {
    for (const [rows, columns] of [
      [1, 1],
      [1, 5],
      [5, 1],
      [4, 7],
    ]) {
      const weight = weightOf(randomMatrix(new Seeded(1), rows, columns));
      expect(prune({ scope, sparsity: 0 }, weight)[0].data).toEqual(weight.data);
      expect(prune({ scope, sparsity: 1 }, weight)[0].data).toEqual(new Float32Array(rows * columns));
    }
  });

  it.each([...scopes])("%s: pruning twice is pruning once", (scope) => {
    const [once] = prune({ scope, sparsity: 0.5 }, weightOf(randomMatrix(new Seeded(2), 9, 14)));
    const sparser = prune({ scope: "row", sparsity: 0.8 }, once)[0];
    expect(prune({ scope, sparsity: 0.3 }, sparser)[0].data).toEqual(sparser.data);
    if (scope !== "layer-threshold") expect(prune({ scope, sparsity: 0.5 }, once)[0].data).toEqual(once.data);
  });

  it.each([...scopes])("%s: equal weights go in order of index, never all of them", (scope) => {
    const [pruned] = prune({ scope, sparsity: 0.5 }, weightOf([[2, -2, 2, 2]]));
    expect(valuesOf(pruned)).toEqual([0, 0, 2, 2]);
  });

  it("layer-threshold counts exactly where ties with the largest weight would empty the matrix", () => {
    expect(valuesOf(prune({ scope: "layer-threshold" }, weightOf([[1, 3, -3, 3]]))[0])).toEqual([0, 0, -3, 3]);
  });

  it.each([...scopes, "groups"])("%s: a matrix of zeros stays one", (scope) => {
    const given = scope === "groups" ? { pattern: { keep: 1, of: 4 } } : { scope };
    expect(
      valuesOf(
        prune(
          given,
          weightOf([
            [0, 0, 0],
            [0, 0, 0],
          ]),
        )[0],
      ),
    ).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("a shorter last group of N:M keeps min(keep, size), also where the row is shorter than a group", () => {
    const pattern = { keep: 2, of: 4 };
    expect(keptOf(prune({ pattern }, weightOf([[4, 3, 2, 1, 1]]))[0])).toEqual([1, 1, 0, 0, 1]);
    expect(keptOf(prune({ pattern }, weightOf([[1, 3, 2]]))[0])).toEqual([0, 1, 1]);
    expect(keptOf(prune({ pattern }, weightOf([[1]]))[0])).toEqual([1]);
  });

  it.each([...scopes, "groups"].flatMap((scope) => [Number.NaN, Infinity].map((bad) => [scope, bad] as const)))(
    "%s: a weight of %f is refused with its place",
    (scope, bad) => {
      const given = scope === "groups" ? { pattern: { keep: 1, of: 4 } } : { scope };
      const run = () =>
        prune(
          given,
          weightOf([
            [1, 2],
            [3, bad],
          ]),
        );
      expect(run).toThrow(expect.objectContaining({ code: "ERR_MODEL_TENSOR" } satisfies Partial<WinnowError>));
      expect(run).toThrow("q_proj of layer 0: weight (1, 1)");
    },
  );

  it("-0 counts as 0", () => {
    expect(valuesOf(prune({ scope: "layer", sparsity: 0.25 }, weightOf([[-1, -0, 1, 1]]))[0])).toEqual([-1, 0, 1, 1]);
  });

  it.each([
    { sparsity: 1.1 },
    { sparsity: -0.1 },
    { scope: "matrix" },
    { pattern: { keep: 5, of: 4 } },
    { pattern: "2:4" },
  ])("%j does not fit the schema", (given) => expect(plugin.options.safeParse(given).success).toBe(false));
});

describe("magnitude counting", () => {
  it("the table of 2^15 counts gives the threshold of a full sort on bf16, denormals and -0 included", () => {
    const random = new Seeded(4);
    const values = [...random.normals(500), ...random.normals(200).map((x) => x * 1e-39), -0, 0];
    const data = Uint16Array.from(values, toBf16);
    const weight: DenseWeight = { format: "dense", dtype: "bf16", outFeatures: 1, inFeatures: data.length, data };
    const bits = magnitudeBits({ layer: 0, projection: "q_proj", weight });
    const sorted = Array.from(data, (x) => Math.abs(fromBf16(x))).sort((a, b) => a - b);
    for (const rank of [0, 1, 150, 350, 600, data.length - 1]) {
      expect(fromBf16(locate(countHigh(bits), rank).bin)).toBe(sorted[rank]);
      expect(smallest(bits, rank + 1).bits / 65536).toBe(locate(countHigh(bits), rank).bin);
    }
  });
});

describe("magnitude fixtures", () => {
  const files = fixtureFiles("magnitude", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
