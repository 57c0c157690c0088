import { WinnowError } from "@winnow/core";
import type { PlannedSparsifier } from "../../../plan/plan.js";
import type { CombineStep, MeasureStep } from "../../../prune/tasks.js";
import { guardPlugin } from "../../../registry/guard-plugin.js";
import { pluginOperations } from "../session.js";
import type { PruneContext } from "./context.js";
import { sparsifierOf } from "./sparsifiers.js";

/** What a survey measures on one matrix. */
export async function measure(context: PruneContext, step: MeasureStep): Promise<unknown> {
  const { layer, projection, original, planned, previous } = step;
  const survey = await surveyOf(context, planned);
  return guardPlugin(planned.sparsifier, `survey.measure of layer ${layer} ${projection}`, () =>
    plainData(
      survey.measure({
        layer,
        projection,
        weight: original,
        original,
        survey: previous,
        dtype: context.plan.precision,
        operations: pluginOperations(context.operations),
      }),
    ),
  );
}

export async function combine(context: PruneContext, { planned, matrices, previous }: CombineStep): Promise<unknown> {
  const survey = await surveyOf(context, planned);
  return guardPlugin(planned.sparsifier, "survey.combine", () => plainData(survey.combine(matrices, previous)));
}

async function surveyOf({ plan }: PruneContext, planned: PlannedSparsifier) {
  const { survey } = await sparsifierOf(plan, planned);
  if (survey) return survey;
  throw new WinnowError("ERR_PLUGIN_RESULT", `Plugin "${planned.sparsifier}" has no survey.`, {
    plugin: planned.sparsifier,
  });
}

/** The value itself if it can go to another thread. */
function plainData(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (cause) {
    const problem = `its result must be plain data, which can go to another worker: ${(cause as Error).message}`;
    throw new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`, { cause });
  }
}
