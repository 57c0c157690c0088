import { type InnerPlugins, lastSelections, type ModelShape, type WeightSparsifier } from "@winnow/core";
import type { WeightsPerLayerOptions } from "./options.js";
import { type SurveyResults, surveyOf } from "./survey.js";

/**
 * The matrices of each layer go through the last entry that selects it, else through `otherwise`, else they stay as they are.
 *
 * All matrices are calibrated with the statistics that any entry declares: one entry with `hessian` makes all layers gather it.
 * An entry with a survey surveys the matrices of its own layers only, as if it were an entry of `weights` for these layers.
 */
export function weightsPerLayer(
  { layers, otherwise }: WeightsPerLayerOptions,
  model: ModelShape,
  plugins: InnerPlugins,
): WeightSparsifier {
  const references = [...layers, ...(otherwise ? [otherwise] : [])];
  const sparsifiers = references.map((reference) => plugins.weightSparsifier(reference));
  const chosen = lastSelections(
    layers.map((entry) => entry.layers),
    model.layers,
  ).map((index) => (index < 0 ? layers.length : index));
  const survey = surveyOf(sparsifiers, references, chosen);
  return {
    statistics: [...new Set(sparsifiers.flatMap(({ statistics }) => statistics))],
    ...(sparsifiers.some(({ changesBias }) => changesBias) && { changesBias: true }),
    ...(survey && { survey }),
    sparsify(context) {
      const entry = chosen[context.layer];
      const sparsifier = sparsifiers[entry];
      if (!sparsifier) return context.weight;
      const { survey: results, ...rest } = context;
      const own = (results as SurveyResults | undefined)?.results[entry];
      return sparsifier.sparsify({ ...rest, ...(own !== undefined && { survey: own }) });
    },
  };
}
