import { type PluginDefinition, type StatisticName, type WeightSparsifier, WinnowError } from "@winnow/core";
import type { Plan, PlannedSparsifier } from "../../../plan/plan.js";
import { statisticNames } from "../../../prune/places.js";
import type { SparsifierNeeds } from "../../../prune/tasks.js";
import { guardPlugin } from "../../../registry/guard-plugin.js";
import { PluginFactory } from "../inner-plugins.js";
import { loadDefinitions } from "../plugins.js";

let definitions: Promise<Map<string, PluginDefinition>> | undefined;
const made = new Map<string, Promise<WeightSparsifier>>();

/** The sparsifier of a planned entry, made once per worker. Errors: `ERR_PLUGIN_FAILED` and `ERR_PLUGIN_RESULT` for its `create`. */
export function sparsifierOf(plan: Plan, { sparsifier, options }: PlannedSparsifier): Promise<WeightSparsifier> {
  const key = JSON.stringify([sparsifier, options]);
  const known = made.get(key) ?? make(plan, sparsifier, options);
  made.set(key, known);
  return known;
}

/** What each planned sparsifier needs before it can run. */
export function describeSparsifiers(plan: Plan): Promise<SparsifierNeeds[]> {
  return Promise.all(
    plan.weights.sparsifiers.map(async (planned) => {
      const { statistics, changesBias = false, survey } = await sparsifierOf(plan, planned);
      return { statistics, changesBias, surveyPasses: survey ? (survey.passes ?? 1) : 0 };
    }),
  );
}

async function make(plan: Plan, plugin: string, options: Readonly<Record<string, unknown>>): Promise<WeightSparsifier> {
  definitions ??= loadDefinitions(plan);
  const factory = new PluginFactory(await definitions, plan.model.shape);
  return guardPlugin(plugin, "create", () => {
    const sparsifier = factory.weightSparsifier({ plugin, options });
    checkStatistics(sparsifier.statistics);
    checkSurvey(sparsifier.survey);
    checkChangesBias(sparsifier.changesBias);
    return sparsifier;
  });
}

function checkStatistics(statistics: readonly StatisticName[] | undefined): void {
  if (!Array.isArray(statistics)) throw resultError(`statistics must be a list, got ${typeof statistics}`);
  const unknown = statistics.find((name) => !statisticNames.includes(name));
  if (unknown !== undefined)
    throw resultError(`statistics must be some of ${statisticNames.join(", ")}, got ${JSON.stringify(unknown)}`);
}

function checkChangesBias(changesBias: unknown): void {
  if (changesBias !== undefined && typeof changesBias !== "boolean")
    throw resultError(`changesBias must be true or false, got ${JSON.stringify(changesBias)}`);
}

function checkSurvey(survey: WeightSparsifier["survey"]): void {
  if (survey === undefined) return;
  if (typeof survey?.measure !== "function" || typeof survey.combine !== "function")
    throw resultError("a survey must have the methods measure and combine");
  const { passes = 1 } = survey;
  if (!Number.isInteger(passes) || passes < 1)
    throw resultError(`a survey's passes must be a whole number of at least 1, got ${passes}`);
}

function resultError(problem: string): WinnowError {
  return new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`);
}
