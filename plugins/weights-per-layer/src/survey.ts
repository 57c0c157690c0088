import type { PluginReference, SurveyedMatrix, WeightSparsifier, WeightSurvey } from "@winnow/core";

/** What `combine` returns: the passes that are done and the inner results, in order of the entries. */
export interface SurveyResults {
  readonly passes: number;
  readonly results: readonly unknown[];
}

/**
 * What `measure` returns where an inner survey measured. The name keeps values of other plugins apart: an override of the options can give the
 * same layers to another plugin, and all matrices of an entry of `weights` are combined together.
 */
interface Measured {
  readonly plugin: string;
  readonly value: unknown;
}

/**
 * One survey for all inner ones, as many passes as the longest of them; undefined if none has a survey. `chosen[layer]` is the entry of a layer.
 * Each inner survey sees the matrices of its own layers, in order, and its own results of the pass before.
 */
export function surveyOf(
  sparsifiers: readonly WeightSparsifier[],
  references: readonly PluginReference[],
  chosen: readonly number[],
): WeightSurvey | undefined {
  const surveys = sparsifiers.map(({ survey }) => survey);
  const passes = Math.max(0, ...surveys.map(passesOf));
  if (passes === 0) return undefined;

  const ofEntry = (matrices: readonly SurveyedMatrix[], entry: number): SurveyedMatrix[] =>
    matrices.flatMap(({ layer, projection, value }) => {
      const measured = value as Measured | null;
      const isOwn = chosen[layer] === entry && measured?.plugin === references[entry].plugin;
      return isOwn ? [{ layer, projection, value: measured.value }] : [];
    });

  return {
    passes,
    measure(context) {
      const entry = chosen[context.layer];
      const { survey: before, ...rest } = context;
      const previous = before as SurveyResults | undefined;
      const survey = surveys[entry];
      if (!survey || passesOf(survey) <= (previous?.passes ?? 0)) return null;
      const own = previous?.results[entry];
      const value = survey.measure({ ...rest, ...(own !== undefined && { survey: own }) });
      return { plugin: references[entry].plugin, value } satisfies Measured;
    },
    combine(matrices, before): SurveyResults {
      const previous = before as SurveyResults | undefined;
      const done = previous?.passes ?? 0;
      const results = surveys.map((survey, entry) => {
        const own = ofEntry(matrices, entry);
        const last = previous?.results[entry];
        return survey && passesOf(survey) > done && own.length > 0 ? survey.combine(own, last) : last;
      });
      return { passes: done + 1, results };
    },
  };
}

function passesOf(survey: WeightSurvey | undefined): number {
  return survey ? (survey.passes ?? 1) : 0;
}
