import { projections, type SurveyedMatrix } from "@winnow/core";
import type { PlannedSparsifier } from "../plan/plan.js";
import { type PruneJob, runStep } from "./job.js";
import type { LoadedLayer, SparsifierNeeds } from "./tasks.js";

/**
 * Surveys of all planned sparsifiers that have one: their `context.survey` by index in the plan. Matrices of one entry of `weights` are surveyed together, whatever
 * options its overrides give them. Values depend on the model's own matrices alone.
 */
export async function runSurveys(
  job: PruneJob,
  needs: readonly SparsifierNeeds[],
  report: (share: number) => void,
): Promise<ReadonlyMap<number, unknown>> {
  const { sparsifiers } = job.plan.weights;
  const surveys = new Map<number, unknown>();
  const passes = Math.max(0, ...needs.map(({ surveyPasses }) => surveyPasses));
  for (let pass = 0; pass < passes; pass++) {
    const taking = sparsifiers.map((_, index) => index).filter((index) => needs[index].surveyPasses > pass);
    const measured = await measureAll(job, taking, surveys, (share) => report((pass + share) / passes));
    for (const index of taking) {
      const planned = sparsifiers[index];
      const matrices = measured.get(planned.entry) ?? [];
      const previous = surveys.get(index);
      surveys.set(index, await runStep(job, { step: "combine", planned, matrices, previous }));
    }
  }
  return surveys;
}

/** Measured values by entry, in order of layers and projections. */
async function measureAll(
  job: PruneJob,
  taking: readonly number[],
  surveys: ReadonlyMap<number, unknown>,
  report: (share: number) => void,
): Promise<ReadonlyMap<number, readonly SurveyedMatrix[]>> {
  const { weights, model } = job.plan;
  const byEntry = new Map<number, SurveyedMatrix[]>();
  for (let layer = 0; layer < model.shape.layers; layer++) {
    const places = taking.flatMap((index) => placesOf(weights.sparsifiers[index], layer, index));
    if (places.length === 0) continue;
    const { own } = await runStep<LoadedLayer>(job, { step: "load-layer", layer, run: false });
    const values = await Promise.all(
      places.map(({ index, projection }) => {
        const planned = weights.sparsifiers[index];
        const original = own[projection];
        const previous = surveys.get(index);
        return runStep<unknown>(job, { step: "measure", layer, projection, original, planned, previous });
      }),
    );
    for (const [at, { index, projection }] of places.entries()) {
      const { entry } = weights.sparsifiers[index];
      byEntry.set(entry, [...(byEntry.get(entry) ?? []), { layer, projection, value: values[at] }]);
    }
    report((layer + 1) / model.shape.layers);
  }
  for (const [entry, matrices] of byEntry) byEntry.set(entry, sorted(matrices));
  return byEntry;
}

function placesOf({ matrices }: PlannedSparsifier, layer: number, index: number) {
  return matrices.filter((matrix) => matrix.layer === layer).map(({ projection }) => ({ index, projection }));
}

function sorted(matrices: readonly SurveyedMatrix[]): SurveyedMatrix[] {
  const order = ({ layer, projection }: SurveyedMatrix) => layer * projections.length + projections.indexOf(projection);
  return matrices.toSorted((a, b) => order(a) - order(b));
}
