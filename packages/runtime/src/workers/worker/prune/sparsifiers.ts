import {
  type PluginDefinition,
  type StatisticName,
  sparsifierFromScorer,
  type WeightScorer,
  type WeightSparsifier,
  WinnowError,
} from "@winnow/core";
import type { Plan, PlannedSparsifier } from "../../../plan/plan.js";
import { statisticNames } from "../../../prune/places.js";
import type { SparsifierNeeds } from "../../../prune/tasks.js";
import { guardPlugin } from "../../../registry/guard-plugin.js";
import { importPlugins } from "../../../registry/load-plugin.js";

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
      const { statistics, survey } = await sparsifierOf(plan, planned);
      return { statistics, surveyPasses: survey ? (survey.passes ?? 1) : 0 };
    }),
  );
}

async function make(plan: Plan, id: string, options: Readonly<Record<string, unknown>>): Promise<WeightSparsifier> {
  const module = plan.plugins.find((plugin) => plugin.id === id);
  const definitions = module ? await importPlugins(module.url) : [];
  const definition = definitions.find((candidate) => candidate.id === id);
  if (!definition)
    throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot run plugin "${id}": the plan lists no module for it.`);
  return guardPlugin(id, "create", () => checkedSparsifier(definition, options, plan));
}

function checkedSparsifier(
  definition: PluginDefinition,
  options: Readonly<Record<string, unknown>>,
  plan: Plan,
): WeightSparsifier {
  const isScorer = definition.kind === "weight-scorer";
  const created = definition.create(options, plan.model.shape) as Partial<WeightScorer & WeightSparsifier> | undefined;
  const method = isScorer ? "score" : "sparsify";
  if (typeof created?.[method] !== "function")
    throw resultError(`a ${definition.kind} must have a method ${method}, got ${typeof created?.[method]}`);
  checkStatistics(created.statistics);
  checkSurvey(created.survey);
  return isScorer ? sparsifierFromScorer(checkedScorer(created as WeightScorer)) : (created as WeightSparsifier);
}

function checkStatistics(statistics: readonly StatisticName[] | undefined): void {
  if (!Array.isArray(statistics)) throw resultError(`statistics must be a list, got ${typeof statistics}`);
  const unknown = statistics.find((name) => !statisticNames.includes(name));
  if (unknown !== undefined)
    throw resultError(`statistics must be some of ${statisticNames.join(", ")}, got ${JSON.stringify(unknown)}`);
}

function checkSurvey(survey: WeightSparsifier["survey"]): void {
  if (survey === undefined) return;
  if (typeof survey?.measure !== "function" || typeof survey.combine !== "function")
    throw resultError("a survey must have the methods measure and combine");
  const { passes = 1 } = survey;
  if (!Number.isInteger(passes) || passes < 1)
    throw resultError(`a survey's passes must be a whole number of at least 1, got ${passes}`);
}

function checkedScorer(scorer: WeightScorer): WeightScorer {
  return {
    statistics: scorer.statistics,
    pattern: scorer.pattern,
    score(context) {
      const scores: unknown = scorer.score(context);
      if (!(scores instanceof Float32Array)) throw resultError(`scores must be a Float32Array, got ${typeof scores}`);
      const bad = scores.findIndex(Number.isNaN);
      if (bad >= 0) throw resultError(`scores must be numbers, but number ${bad} is NaN`);
      return scores;
    },
  };
}

function resultError(problem: string): WinnowError {
  return new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`);
}
