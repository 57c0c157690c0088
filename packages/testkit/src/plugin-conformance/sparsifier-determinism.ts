import { requireThat } from "./check.js";
import { defaultKernels } from "./kernels.js";
import type { Maker } from "./make.js";
import { type Matrix, modelMatrices } from "./matrices.js";
import { sparsifyAll } from "./sparsifier-run.js";
import { differingShare, resultDifference } from "./weight-compare.js";

/** Weights that kernels may leave differently where they round differently and scores nearly tie. */
const NEAR_TIES = 0.01;

export function checkRepeats(maker: Maker): undefined {
  const matrices = modelMatrices();
  const sparsifier = maker.sparsifier();
  const first = sparsifyAll(sparsifier, matrices);
  for (const [what, again] of [
    ["a second call", sparsifier],
    ["another object of create", maker.sparsifier()],
  ] as const) {
    const difference = resultDifference(matrices, sparsifyAll(again, matrices), first);
    requireThat(difference === undefined, `the same result from ${what}`, () => difference!);
  }
}

/** Matrices come in any order, between others; the survey, which sees all, keeps its order. */
export function checkOrder(maker: Maker): undefined {
  const matrices = modelMatrices();
  const forward = sparsifyAll(maker.sparsifier(), matrices);
  const { statistics, changesBias, survey, sparsify } = maker.sparsifier();
  const backward = sparsifyAll(
    {
      statistics,
      ...(changesBias !== undefined && { changesBias }),
      ...(survey && {
        survey: { ...survey, combine: (list, previous) => survey.combine(sorted(list, matrices), previous) },
      }),
      sparsify,
    },
    [...matrices].reverse(),
  ).reverse();
  const difference = resultDifference(matrices, backward, forward);
  requireThat(difference === undefined, "the same results when the matrices come in reverse order", () => difference!);
}

function sorted<T extends Pick<Matrix, "layer" | "projection">>(list: readonly T[], order: readonly Matrix[]): T[] {
  return order.map(
    ({ layer, projection }) => list.find((one) => one.layer === layer && one.projection === projection)!,
  );
}

export async function checkKernels(maker: Maker): Promise<string> {
  const matrices = modelMatrices();
  const variants = await (maker.subject.kernels ?? defaultKernels)();
  const results = variants.map(({ operations }) => sparsifyAll(maker.sparsifier(), matrices, { operations }));
  for (const [index, { name, family }] of variants.entries()) {
    const sibling = variants.findIndex((variant) => variant.family === family);
    const difference = resultDifference(matrices, results[index], results[sibling]);
    requireThat(
      difference === undefined,
      `the same result with ${name} as with ${variants[sibling].name}`,
      () => difference!,
    );
    const share = differingShare(matrices, results[index], results[0]);
    requireThat(
      share <= NEAR_TIES,
      `the same result, but for near ties, with ${name} as with ${variants[0].name}`,
      () => `${(100 * share).toFixed(1)} % other weights: ${resultDifference(matrices, results[index], results[0])}`,
    );
  }
  return `kernels: ${variants.map(({ name }) => name).join("; ")}`;
}
