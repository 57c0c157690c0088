import { type Projection, projections, type StatisticName } from "@winnow/core";
import type { Plan } from "../plan/plan.js";
import { type WantedStatistics, wantedStatistics } from "./places.js";
import type { Keep, SparsifierNeeds } from "./tasks.js";

/** A matrix and the planned sparsifiers (their index in the plan) that it goes through, in order. */
export interface MatrixWork {
  readonly projection: Projection;
  readonly sparsifiers: readonly number[];
}

/** The matrices of a layer that change. Formats of 8 bits quantise those without a sparsifier as well. */
export function workOfLayer({ weights }: Plan, layer: number, keep: Keep["as"]): MatrixWork[] {
  const quantised = keep !== "plain" && (weights.format === "int8" || weights.format === "bitmap-int8");
  return projections
    .map((projection) => ({
      projection,
      sparsifiers: weights.sparsifiers.flatMap(({ matrices }, index) =>
        matrices.some((matrix) => matrix.layer === layer && matrix.projection === projection) ? [index] : [],
      ),
    }))
    .filter(({ sparsifiers }) => quantised || sparsifiers.length > 0);
}

/** Whether a plan changes any matrix. */
export function changesWeights(plan: Plan, keep: Keep["as"]): boolean {
  return Array.from({ length: plan.model.shape.layers }).some((_, layer) => workOfLayer(plan, layer, keep).length > 0);
}

/** What is to be gathered in a layer. */
export function wantedOf(work: readonly MatrixWork[], needs: readonly SparsifierNeeds[]): WantedStatistics {
  return wantedStatistics(
    work.map(({ projection, sparsifiers }) => ({
      projection,
      statistics: sparsifiers.flatMap((index): readonly StatisticName[] => needs[index].statistics),
    })),
  );
}
