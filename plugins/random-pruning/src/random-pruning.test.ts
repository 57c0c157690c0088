import { fileURLToPath } from "node:url";
import { type DenseWeight, type Projection, projections, type WeightContext } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin, { type AllocationOptions, densities } from "./index.js";
import { oracleDensities, oraclePhilox } from "./oracle.js";
import { philox, randomWords } from "./philox.js";

const operations = createReference();
const model = { layers: 2, queryHeads: 2, kvHeads: 1, headDim: 8, contextLength: 4096 };
const erk: AllocationOptions = { allocation: "erk", erkPowerScale: 1 };

interface Place {
  readonly layer: number;
  readonly projection: Projection;
}

const first: Place = { layer: 0, projection: "q_proj" };

function contextOf(outFeatures: number, inFeatures: number, place: Place, fill = (_: number) => 1): WeightContext {
  const data = Float32Array.from({ length: outFeatures * inFeatures }, (_, e) => fill(e));
  const weight: DenseWeight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
  return { ...place, weight, original: weight, statistics: { tokens: 0, sequences: 0 }, dtype: "f32", operations };
}

/** Masks of all matrices, pruned in the order given. */
function masksBy(given: object, contexts: WeightContext[]): Uint8Array[] {
  const { survey, sparsify } = plugin.create(plugin.options.parse(given), model);
  const surveyed = survey?.combine(contexts.map((context) => ({ ...context, value: survey.measure(context) })));
  return contexts.map((context) => {
    const { data } = sparsify({ ...context, survey: surveyed }) as DenseWeight;
    return Uint8Array.from(data, (w) => Number(w !== 0));
  });
}

const maskBy = (given: object, outFeatures: number, inFeatures: number, place = first) =>
  masksBy(given, [contextOf(outFeatures, inFeatures, place)])[0];

const countOf = (mask: Uint8Array) => mask.reduce((sum, bit) => sum + bit, 0);
const sizesOf = (shapes: number[][]) => shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const shareOf = (shapes: number[][], spread: number[]) =>
  sum(sizesOf(shapes).map((size, l) => size * spread[l])) / sum(sizesOf(shapes));

describe("random-pruning densities", () => {
  it.each([
    [0.5, 0.6328, 0.4341],
    [0.7, 0.8859, 0.6078],
    [0.9, 1, 0.8504],
  ])("erk of a LLaMA-2-7B block at %f: attention %f, MLP %f (worked example)", (density, attention, mlp) => {
    const shapes = [...new Array(4).fill([4096, 4096]), ...new Array(2).fill([11008, 4096]), [4096, 11008]];
    const spread = densities(shapes, density, erk).map((value) => Number(value.toFixed(4)));
    expect(spread).toEqual([...new Array(4).fill(attention), ...new Array(3).fill(mlp)]);
  });

  it("4 x 4 and 4 x 64 at 0.9: the small one becomes dense, the other gets 0.89375 (worked example)", () => {
    const spread = densities(
      [
        [4, 4],
        [4, 64],
      ],
      0.9,
      erk,
    );
    expect(spread[0]).toBe(1);
    expect(spread[1]).toBeCloseTo(0.89375, 12);
  });

  const shapes = [
    [64, 64],
    [16, 64],
    [16, 64],
    [64, 64],
    [172, 64],
    [172, 64],
    [64, 172],
    [8, 3, 3, 3],
  ];

  it.each([0, 0.01, 0.3, 0.5, 0.77, 0.9, 0.99, 1])(
    "sum density_l * N_l is the budget and no density leaves 0..1: %f",
    (density) => {
      for (const allocation of ["uniform", "er", "erk"] as const) {
        for (const erkPowerScale of [0, 0.5, 1, 3]) {
          const spread = densities(shapes, density, { allocation, erkPowerScale });
          expect(Math.abs(shareOf(shapes, spread) - density)).toBeLessThan(1e-12);
          expect(spread.every((value) => value >= 0 && value <= 1)).toBe(true);
        }
      }
    },
  );

  it.each([0.01, 0.4, 0.8, 0.97])("is min(1, epsilon * ratio), as the oracle finds it by bisection: %f", (density) => {
    for (const power of [0.5, 1, 2]) {
      const ratios = shapes.map((shape) => (sum(shape) / sizesOf([shape])[0]) ** power);
      const expected = oracleDensities(sizesOf(shapes), ratios, density);
      densities(shapes, density, { allocation: "erk", erkPowerScale: power }).forEach((value, l) => {
        expect(value).toBeCloseTo(expected[l], 10);
      });
    }
  });

  it("er and erk agree for matrices and differ for tensors of four dimensions", () => {
    const er: AllocationOptions = { allocation: "er", erkPowerScale: 1 };
    expect(densities(shapes.slice(0, 7), 0.6, er)).toEqual(densities(shapes.slice(0, 7), 0.6, erk));
    expect(densities(shapes, 0.3, er)).not.toEqual(densities(shapes, 0.3, erk));
  });

  it.each([0.1, 0.3, 0.7, 0.9])("equal shapes and a single tensor get exactly the density: %f", (density) => {
    expect(
      densities(
        [
          [7, 7],
          [7, 7],
          [7, 7],
        ],
        density,
        erk,
      ),
    ).toEqual([density, density, density]);
    expect(densities([[5, 9]], density, erk)).toEqual([density]);
  });

  it("the order of tensors changes nothing, a power of 0 is uniform, and a density of 1 makes all dense", () => {
    const spread = densities(shapes, 0.6, erk);
    const reversed = densities([...shapes].reverse(), 0.6, erk).reverse();
    for (const [l, value] of reversed.entries()) expect(value).toBeCloseTo(spread[l], 14);
    expect(densities(shapes, 0.6, { allocation: "erk", erkPowerScale: 0 })).toEqual(shapes.map(() => 0.6));
    expect(densities(shapes, 1, erk)).toEqual(shapes.map(() => 1));
  });

  it.each([
    ["no tensors", [], 0.5, "there are no tensors"],
    [
      "an empty tensor",
      [
        [4, 4],
        [0, 4],
      ],
      0.5,
      "tensor 1 holds no weights",
    ],
    ["a density above 1", [[4, 4]], 1.1, "must be in 0..1, got 1.1"],
    ["a density below 0", [[4, 4]], -0.1, "must be in 0..1, got -0.1"],
    ["a density of NaN", [[4, 4]], Number.NaN, "got NaN"],
  ])("%s is refused", (_, bad, density, message) => {
    expect(() => densities(bad, density, erk)).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
    expect(() => densities(bad, density, erk)).toThrow(message);
  });
});

describe("random-pruning generator", () => {
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [new Array(4).fill(0xffffffff), [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])("philox4x32-10 of counter %j and key %j gives the published words", (counter, key, expected) => {
    const words = Uint32Array.from(counter);
    philox(words, key[0], key[1]);
    expect(Array.from(words)).toEqual(expected);
  });

  it("philox equals the oracle with 64-bit products on random counters", () => {
    const random = new Seeded(1);
    for (let n = 0; n < 200; n++) {
      const numbers = Array.from({ length: 6 }, () => Math.floor(random.uniform(0, 2 ** 32)));
      const words = Uint32Array.from(numbers.slice(0, 4));
      philox(words, numbers[4], numbers[5]);
      expect(Array.from(words)).toEqual(oraclePhilox(numbers.slice(0, 4), numbers.slice(4)));
    }
  });

  it("a stream does not depend on how much of it is drawn", () => {
    expect(randomWords(5, 3, 1, 2)).toEqual(randomWords(11, 3, 1, 2).slice(0, 5));
  });
});

describe("random-pruning", () => {
  it("the same seed gives the same mask, another seed, layer or projection another one", () => {
    const mask = (seed: number, place: Place) => maskBy({ seed }, 16, 16, place).join("");
    const places: [number, Place][] = [
      [0, first],
      [1, first],
      [0, { ...first, layer: 1 }],
      [0, { ...first, projection: "k_proj" }],
      [1, { layer: 1, projection: "k_proj" }],
    ];
    expect(new Set(places.map(([seed, place]) => mask(seed, place))).size).toBe(places.length);
    expect(mask(7, first)).toBe(mask(7, first));
  });

  it("masks depend neither on the order of tasks nor on the values of weights, and a removed NaN becomes 0", () => {
    const contexts = projections.map((projection, m) => contextOf(8 + 4 * m, 16, { layer: 0, projection }));
    const masks = masksBy({ seed: 5, sparsity: 0.4 }, contexts);
    const others = projections.map((projection, m) =>
      contextOf(8 + 4 * m, 16, { layer: 0, projection }, () => Number.NaN),
    );
    expect(masksBy({ seed: 5, sparsity: 0.4 }, [...contexts].reverse()).reverse()).toEqual(masks);
    expect(masksBy({ seed: 5, sparsity: 0.4 }, others)).toEqual(masks);
  });

  it.each([0.1, 0.5, 0.9])(
    "bernoulli at sparsity %f: counts within 4 sigma for 20 seeds, and not constant",
    (sparsity) => {
      const [rows, columns] = [64, 128];
      const counts = Array.from({ length: 20 }, (_, seed) => countOf(maskBy({ seed, sparsity }, rows, columns)));
      const sigma = Math.sqrt(sparsity * (1 - sparsity) * rows * columns);
      for (const count of counts) expect(Math.abs(count - (1 - sparsity) * rows * columns)).toBeLessThan(4 * sigma);
      expect(new Set(counts).size).toBeGreaterThan(1);
    },
  );

  it.each([0, 0.1, 0.5, 0.77, 1])(
    "exact at sparsity %f: round(density * N) of every matrix stay, by erk's densities",
    (sparsity) => {
      const shapes = [
        [64, 64],
        [16, 64],
        [172, 64],
      ];
      const contexts = shapes.map(([o, i], m) => contextOf(o, i, { layer: 0, projection: projections[m] }));
      const spread = densities(shapes, 1 - sparsity, erk);
      const counts = masksBy({ sparsity, count: "exact" }, contexts).map(countOf);
      expect(counts).toEqual(shapes.map(([o, i], m) => Math.round(spread[m] * o * i)));
    },
  );

  it("exact draws every place alike: each of 12 is among 5 kept in 5 / 12 of 3000 seeds, within 4 sigma", () => {
    const hits = new Array<number>(12).fill(0);
    for (let seed = 0; seed < 3000; seed++) {
      const mask = maskBy({ seed, count: "exact", sparsity: 7 / 12 }, 1, 12);
      mask.forEach((bit, e) => {
        hits[e] += bit;
      });
    }
    const sigma = Math.sqrt(3000 * (5 / 12) * (7 / 12));
    for (const hit of hits) expect(Math.abs(hit - 1250)).toBeLessThan(4 * sigma);
  });

  it.each([
    [1, 2],
    [2, 4],
    [4, 8],
    [3, 16],
  ])(
    "%i of %i: every group keeps exactly that many, a shorter last one min(keep, size), every place sometimes",
    (keep, of) => {
      const seen = new Set<number>();
      for (const columns of [of * 3, of * 2 + 1, 1]) {
        const mask = maskBy({ pattern: { keep, of } }, 40, columns);
        for (let e = 0; e < mask.length; e++) if (mask[e]) seen.add((e % columns) % of);
        for (let row = 0; row < 40; row++) {
          for (let start = 0; start < columns; start += of) {
            const size = Math.min(of, columns - start);
            expect(countOf(mask.subarray(row * columns + start, row * columns + start + size))).toBe(
              Math.min(keep, size),
            );
          }
        }
      }
      expect(seen.size).toBe(of);
    },
  );

  it("matrices with an override of sparsity share a budget of their own", () => {
    const [lower, higher] = [0.25, 0.75].map((sparsity) => plugin.create(plugin.options.parse({ sparsity }), model));
    const contexts = [contextOf(8, 8, first), contextOf(8, 32, { ...first, layer: 1 })];
    const matrices = [lower, higher].map(({ survey }, m) => ({ ...contexts[m], value: survey!.measure(contexts[m]) }));
    expect(lower.survey!.combine(matrices)).toEqual({ "0.q_proj": 0.75 });
    expect(higher.survey!.combine(matrices)).toEqual({ "1.q_proj": 0.25 });
  });

  it("reports density, seed and generator, so that a mask can be made again", () => {
    const facts: object[] = [];
    const report = (more: object) => void facts.push(more);
    const sparsifier = plugin.create(plugin.options.parse({ allocation: "uniform", seed: 9, sparsity: 0.25 }), model);
    sparsifier.sparsify({ ...contextOf(2, 2, first), report });
    expect(facts).toEqual([{ generator: "philox4x32-10", seed: 9, density: 0.75 }]);
  });

  it("uniform and N:M need no survey", () => {
    const surveyOf = (given: object) => plugin.create(plugin.options.parse(given), model).survey;
    expect(surveyOf({ allocation: "uniform" })).toBeUndefined();
    expect(surveyOf({ pattern: { keep: 2, of: 4 } })).toBeUndefined();
    expect(surveyOf({})).toBeDefined();
  });

  it.each(["bernoulli", "exact"])(
    "%s: sparsity 0 keeps all and 1 nothing, also of a single weight, and kept weights keep their bits",
    (count) => {
      for (const allocation of ["uniform", "erk"]) {
        for (const size of [1, 7]) {
          expect(countOf(maskBy({ count, allocation, sparsity: 0 }, size, size))).toBe(size * size);
          expect(countOf(maskBy({ count, allocation, sparsity: 1 }, size, size))).toBe(0);
        }
      }
      const context = contextOf(4, 4, first, (e) => e + 0.5);
      const sparsifier = plugin.create(plugin.options.parse({ count, allocation: "uniform" }), model);
      const { data } = sparsifier.sparsify(context) as DenseWeight;
      for (let e = 0; e < 16; e++) expect([0, context.weight.data[e]]).toContain(data[e]);
    },
  );

  it.each([
    { sparsity: 2 },
    { allocation: "snip" },
    { erkPowerScale: -1 },
    { count: "round" },
    { seed: -1 },
    { seed: 2 ** 32 },
  ])("%j does not fit the schema", (given) => expect(plugin.options.safeParse(given).success).toBe(false));
});

describe("random-pruning fixtures", () => {
  const files = fixtureFiles("random-pruning", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
