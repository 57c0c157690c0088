import {
  type ChannelsWeight,
  type DenseWeight,
  type OtherWeights,
  projections,
  type TuneContext,
  type TuneWeights,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectClose, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { type EvolutionOptions, evolve, type Genome, type Individual } from "./evolution.js";
import plugin from "./index.js";
import { Random } from "./random.js";
import { parseTable } from "./table.js";
import { tuner } from "./tune.js";

const operations = createReference();
const [hidden, layers] = [12, 2];
const model = { layers, queryHeads: 1, kvHeads: 1, headDim: hidden, contextLength: 64 };
const prompts = [new Int32Array(9).fill(1), new Int32Array(8).fill(2)];

/** Even matrices are of rank 1, so that factors serve them best; odd ones are diagonal, so that channels do. */
const matrices: DenseWeight[] = Array.from({ length: layers * projections.length }, (_, m) => {
  const [left, right] = [new Seeded(m).normals(hidden), new Seeded(100 + m).normals(hidden)];
  const data = Float32Array.from({ length: hidden * hidden }, (_, e) => {
    const [o, i] = [Math.floor(e / hidden), e % hidden];
    return m % 2 === 0 ? left[o] * right[i] : o === i ? 1 + left[o] ** 2 : 0;
  });
  return { format: "dense", dtype: "f32", outFeatures: hidden, inFeatures: hidden, data };
});

const matrixOf = (layer: number, p: number) => matrices[layer * projections.length + p];

function inputsOf(prompt: Int32Array, layer: number): Float32Array {
  return new Seeded(1000 * layer + prompt[0]).normals(prompt.length * hidden);
}

/** exp of the mean squared error of all matrices' products, in place of a perplexity. */
function perplexity(other: ReadonlyMap<number, OtherWeights>, sparseShare: number): number {
  let sum = 0;
  for (const [layer, weights] of other)
    for (const [p, name] of projections.entries())
      for (const prompt of prompts) {
        const x = inputsOf(prompt, layer);
        const rows = prompt.length;
        const [sparse, whole] = [new Float32Array(x.length), new Float32Array(x.length)];
        operations.linear(x, rows, weights[name]!, sparse, false, Math.floor(rows * sparseShare));
        operations.linear(x, rows, operations.packWeight(matrixOf(layer, p), "f32"), whole);
        sum += whole.reduce((total, value, e) => total + (value - sparse[e]) ** 2, 0) / 5000;
      }
  return Math.exp(sum);
}

function context(
  measure: (other: ReadonlyMap<number, OtherWeights>, share: number) => number = perplexity,
  given = prompts,
): TuneContext {
  const weights: TuneWeights = {
    activation: "silu",
    get: (layer, name) => operations.packWeight(matrixOf(layer, projections.indexOf(name)), "f32"),
    residual: async () => new Float32Array(0),
    inputs: async (prompt, layer) => {
      const x = inputsOf(prompt, layer);
      return { attention: x, attentionOutput: x, mlp: x, down: x };
    },
    runLayer: async () => new Float32Array(0),
    perplexity: async (other, share) => measure(other, share),
  };
  return {
    model,
    scale: 1,
    operations,
    prompts: given,
    prefill: async () => {},
    decode: async () => {},
    weights,
    progress: () => {},
  };
}

describe("r-sparse tuner", () => {
  it("is no worse than uniform ratios, and finds that matrices of rank 1 want factors and diagonal ones channels", async () => {
    const { files, report } = await tuner.run(context(), { population: 16, generations: 25, mutationShare: 0.2 });
    const perplexityOf = (step: string) => report.find((row) => row.step === step)!.perplexity as number;
    expect(perplexityOf("dense")).toBe(1);
    expect(perplexityOf("best of generation 25")).toBeLessThan(perplexityOf("uniform ratio 1"));
    expect(perplexityOf("best of generation 25")).toBeLessThan(perplexityOf("uniform ratio 0.95"));
    const ratios = parseTable(files[0].text, "x", layers).map(({ ratio }) => ratio);
    const mean = (parity: number) =>
      ratios.filter((_, m) => m % 2 === parity).reduce((sum, ratio) => sum + ratio / projections.length, 0);
    expect(mean(0)).toBeLessThan(mean(1) - 0.05);
  });

  it("writes a table of one ratio for each matrix at the asked sparsity, and names it in the options", async () => {
    const { options, files } = await tuner.run(context(), { sparsity: 0.4, population: 3, generations: 1 });
    expect(options).toEqual({ table: "r-sparse.txt" });
    expect(files.map(({ name }) => name)).toEqual(["r-sparse.txt"]);
    expect(parseTable(files[0].text, "x", layers).every(({ sparsity }) => sparsity === 0.4)).toBe(true);
  });

  it("measures each candidate with the weights that the plugin would make from its table", async () => {
    const seen: ReadonlyMap<number, OtherWeights>[] = [];
    await tuner.run(
      context((other) => {
        seen.push(other);
        return seen.length;
      }),
      { population: 4, generations: 0, sparsity: 0.3, mutationSize: 1 },
    );
    const inputs = Float32Array.from(prompts.flatMap((prompt) => Array.from(inputsOf(prompt, 1))));
    for (const [index, ratio] of [1, 0.95].entries())
      for (const [p, projection] of projections.entries()) {
        const weight = matrixOf(1, p);
        const expected = plugin.create(plugin.options.parse({ sparsity: 0.3, ratio }), model).sparsify({
          layer: 1,
          projection,
          weight,
          original: weight,
          statistics: { tokens: 17, sequences: 2, inputs },
          dtype: "f32",
          operations,
        }) as ChannelsWeight;
        const actual = seen[index + 1].get(1)![projection] as ChannelsWeight;
        expect(actual.data).toEqual(expected.data);
        expect(actual.selection).toEqual(expected.selection);
        if (expected.lowRank) expectClose(actual.lowRank!.inputs, expected.lowRank.inputs, { atol: 1e-5, rtol: 1e-4 });
      }
  });

  it("passes sparseShare on, and measures the dense model without", async () => {
    const shares: number[] = [];
    const measure = (_: unknown, share: number) => shares.push(share);
    await tuner.run(context(measure), { population: 2, generations: 1, sparseShare: 0.25 });
    expect(shares).toEqual([0, 0.25, 0.25, 0.25]);
  });

  it.each([
    ["no prompts", [], {}, "no prompt"],
    ["a prompt of one token", [new Int32Array(1)], {}, "at least 2 tokens"],
    ["prompts without a sparse token", prompts, { sparseShare: 0.1 }, "at least 10 tokens"],
  ])("%s is refused", async (_, given, options, message) => {
    await expect(tuner.run(context(perplexity, given), options)).rejects.toMatchObject({
      code: "ERR_PLAN_CONFLICT",
      message: expect.stringContaining(message),
    });
  });

  it("a perplexity that is NaN is refused; an infinite one loses", async () => {
    await expect(
      tuner.run(
        context(() => Number.NaN),
        {},
      ),
    ).rejects.toMatchObject({ code: "ERR_NON_FINITE" });
    let calls = 0;
    const { report } = await tuner.run(
      context(() => (calls++ === 2 ? 5 : Infinity)),
      { population: 3, generations: 0 },
    );
    expect(report.at(-1)).toMatchObject({ perplexity: 5, meanRatio: 0.95 });
  });
});

describe("r-sparse evolution", () => {
  const options: EvolutionOptions = {
    genes: 5,
    population: 6,
    generations: 8,
    mutationShare: 0.3,
    mutationSize: 0.3,
    seed: 7,
  };
  const distance = (genome: Genome) => genome.reduce((sum, gene, g) => sum + (gene - g / 10) ** 2, 0);

  function search(given: EvolutionOptions): { history: Individual[][]; asked: Genome[] } {
    const asked: Genome[] = [];
    const evolution = evolve(given);
    let next = evolution.next();
    while (!next.done) {
      asked.push(next.value);
      next = evolution.next(distance(next.value));
    }
    return { history: next.value, asked };
  }

  it("asks for population + generations * floor(population / 2) genomes, all in [0, 1] with four decimals", () => {
    for (const population of [2, 3, 6, 7]) {
      const { asked } = search({ ...options, population });
      expect(asked).toHaveLength(population + 8 * Math.floor(population / 2));
      for (const gene of asked.flat()) {
        expect(gene).toBeGreaterThanOrEqual(0);
        expect(gene).toBeLessThanOrEqual(1);
        expect(Number(gene.toFixed(4))).toBe(gene);
      }
    }
  });

  it("starts from uniform 1 and uniform .95", () => {
    expect(search(options).asked.slice(0, 2)).toEqual([new Array(5).fill(1), new Array(5).fill(0.95)]);
  });

  it("the best never gets worse, and improves", () => {
    const best = search({ ...options, generations: 40 }).history.map(([{ fitness }]) => fitness);
    expect(best).toEqual(best.slice().sort((a, b) => b - a));
    expect(best.at(-1)!).toBeLessThan(best[0] / 2);
  });

  it("the same seed repeats the search, another does not", () => {
    expect(search(options).asked).toEqual(search(options).asked);
    expect(search({ ...options, seed: 8 }).asked).not.toEqual(search(options).asked);
  });

  it("without mutation a child has each gene from one of its parents' generation", () => {
    const { asked } = search({ ...options, mutationShare: 0, generations: 1 });
    for (const genome of asked.slice(6))
      for (const [g, gene] of genome.entries()) expect(asked.slice(0, 6).map((parent) => parent[g])).toContain(gene);
  });
});

describe("r-sparse random numbers", () => {
  it("fill [0, 1) evenly, and normals have mean 0 and variance 1", () => {
    const random = new Random(3);
    const uniforms = Array.from({ length: 20_000 }, () => random.uniform());
    const normals = Array.from({ length: 20_000 }, () => random.normal());
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value / values.length, 0);
    expect(uniforms.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(Math.abs(mean(uniforms) - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(mean(normals))).toBeLessThan(0.03);
    expect(Math.abs(mean(normals.map((value) => value ** 2)) - 1)).toBeLessThan(0.05);
  });
});
