import type { SparsityPattern, WeightScorer } from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { modelMatrices, weightValues } from "./matrices.js";
import { checkedValues, sparsifyAll, weightContext } from "./sparsifier-run.js";

export function checkScores(maker: Maker): undefined {
  const scorer = maker.create() as WeightScorer;
  for (const matrix of modelMatrices()) {
    const context = weightContext(matrix, scorer.statistics);
    const scores = attempt(`scores of ${matrix.name}`, () => scorer.score(context));
    const elements = matrix.weight.data.length;
    requireThat(scores instanceof Float32Array, "score to return a Float32Array", () => typeof scores);
    requireThat(scores.length === elements, `${elements} scores for ${matrix.name}`, `${scores.length}`);
    requireThat(!scores.some(Number.isNaN), `numbers as scores of ${matrix.name}`, "NaN");
  }
}

/** No weight is zero before, so that the zeros afterwards are those that were removed. */
export function checkZeros(maker: Maker): string {
  const { pattern } = maker.create() as WeightScorer;
  const matrices = modelMatrices();
  for (const [index, result] of sparsifyAll(maker.sparsifier(), matrices).entries()) {
    const { name, weight } = matrices[index];
    const values = checkedValues(matrices[index], result);
    for (const { start, end, zeros, what } of groupsOf(pattern, weight.outFeatures, weight.inFeatures)) {
      const found = values.subarray(start, end).filter((value) => value === 0).length;
      requireThat(found === zeros, `${zeros} zeros in ${what} of ${name}`, `${found}`);
    }
  }
  return JSON.stringify(pattern);
}

/** Weights that compete with each other, and how many of them go. */
function groupsOf(pattern: SparsityPattern, outFeatures: number, inFeatures: number) {
  const all = outFeatures * inFeatures;
  if (pattern.pattern === "matrix")
    return [{ start: 0, end: all, zeros: Math.floor(all * pattern.sparsity), what: "all" }];
  const size = pattern.pattern === "row" ? inFeatures : pattern.of;
  return Array.from({ length: outFeatures }, (_, row) =>
    Array.from({ length: Math.ceil(inFeatures / size) }, (_, group) => {
      const start = row * inFeatures + group * size;
      const end = Math.min(start + size, (row + 1) * inFeatures);
      const zeros =
        pattern.pattern === "row" ? Math.floor(inFeatures * pattern.sparsity) : Math.max(0, end - start - pattern.keep);
      return { start, end, zeros, what: `row ${row}, columns ${start % inFeatures} on,` };
    }),
  ).flat();
}

export function checkBits(maker: Maker): undefined {
  for (const dtype of ["f32", "bf16"] as const) {
    const matrices = modelMatrices({ dtype });
    const originals = matrices.map(({ weight }) => weightValues(weight));
    for (const [index, result] of sparsifyAll(maker.sparsifier(), matrices, { dtype }).entries()) {
      const values = checkedValues(matrices[index], result);
      const original = originals[index];
      const bad = values.findIndex((value, e) => value !== 0 && value !== original[e]);
      requireThat(
        bad < 0,
        `kept weights of ${matrices[index].name} to stay as they were`,
        () => `${original[bad]} turned into ${values[bad]}`,
      );
    }
  }
}
