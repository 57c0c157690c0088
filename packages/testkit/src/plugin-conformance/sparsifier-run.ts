import type {
  FloatDtype,
  LinearWeight,
  Operations,
  StatisticName,
  SurveyedMatrix,
  WeightContext,
  WeightSparsifier,
} from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import { reference } from "./masker-run.js";
import { type Matrix, weightValues } from "./matrices.js";

export interface SparsifySettings {
  readonly operations?: Operations;
  readonly dtype?: FloatDtype;
  /** Gives every statistic, not only those that are declared. */
  readonly allStatistics?: boolean;
}

/** Surveys, where the method wants it, then sparsifies all matrices in order, as the runtime does. */
export function sparsifyAll(
  sparsifier: WeightSparsifier,
  matrices: readonly Matrix[],
  settings: SparsifySettings = {},
): LinearWeight[] {
  const survey = surveyAll(sparsifier, matrices, settings);
  return matrices.map((matrix) => {
    const context = {
      ...weightContext(matrix, sparsifier.statistics, settings),
      ...(survey !== undefined && { survey }),
    };
    return sparsifyOne(sparsifier, matrix, context);
  });
}

export function sparsifyOne(sparsifier: WeightSparsifier, matrix: Matrix, context: WeightContext): LinearWeight {
  const result = attempt(`sparsify to return a weight for ${matrix.name}`, () => sparsifier.sparsify(context));
  return sparsifier.changesBias ? withOwnBias(matrix, result) : result;
}

/** The result of a method that may bring a bias, with the matrix's own again, as all other rules expect it. The bias must be valid. */
function withOwnBias({ name, weight }: Matrix, result: LinearWeight): LinearWeight {
  if (typeof result !== "object" || result === null) return result;
  const { bias, ...rest } = result;
  const isValid =
    bias === undefined
      ? weight.bias === undefined
      : bias instanceof Float32Array && bias.length === weight.outFeatures && bias.every(Number.isFinite);
  requireThat(isValid, `a bias of ${weight.outFeatures} finite numbers for ${name}`, bias ? "another one" : "none");
  return { ...rest, ...(weight.bias && { bias: weight.bias }) } as LinearWeight;
}

/** The result of a method's survey; undefined if it has none. Values are copied as on their way between threads. */
export function surveyAll(
  { survey }: WeightSparsifier,
  matrices: readonly Matrix[],
  settings: SparsifySettings = {},
): unknown {
  if (!survey) return undefined;
  let result: unknown;
  for (let pass = 0; pass < (survey.passes ?? 1); pass++) {
    const measured: SurveyedMatrix[] = matrices.map((matrix) => {
      const { statistics, ...context } = weightContext(matrix, [], settings);
      const value = attempt(`survey.measure to work for ${matrix.name}`, () =>
        survey.measure({ ...context, ...(pass > 0 && { survey: result }) }),
      );
      return { layer: matrix.layer, projection: matrix.projection, value: plainCopy("survey.measure", value) };
    });
    const combined = attempt("survey.combine to work", () => survey.combine(measured, result));
    result = plainCopy("survey.combine", combined);
  }
  return result;
}

function plainCopy(what: string, value: unknown): unknown {
  return attempt(`${what} to return plain data, which can go to another worker`, () => structuredClone(value));
}

export function weightContext(
  { layer, projection, weight, statistics, tokens, sequences }: Matrix,
  declared: readonly StatisticName[],
  { operations = reference, dtype = "f32", allStatistics = false }: SparsifySettings = {},
): WeightContext {
  const given = Object.entries(statistics).filter(
    ([name, values]) => values && (allStatistics || declared.includes(name as StatisticName)),
  );
  return {
    layer,
    projection,
    weight,
    original: weight,
    statistics: { tokens, sequences, ...Object.fromEntries(given) },
    dtype,
    operations,
  };
}

/** A result as numbers, `[out, in]`. It must have the matrix's shape and bias, be a format that can be decoded, and be finite. */
export function checkedValues(matrix: Matrix, result: LinearWeight): Float64Array {
  const { outFeatures, inFeatures, bias } = matrix.weight;
  requireThat(typeof result === "object" && result !== null, `a weight for ${matrix.name}`, String(result));
  const same = result.outFeatures === outFeatures && result.inFeatures === inFeatures;
  requireThat(same, `a weight of the size of ${matrix.name}`, `${result.outFeatures} x ${result.inFeatures}`);
  const sameBias = bias === undefined ? !result.bias : bias.every((value, o) => value === result.bias?.[o]);
  requireThat(sameBias, `the bias of ${matrix.name} to stay`, result.bias ? "another one" : "none");
  const dense = attempt(`a weight of a known format for ${matrix.name}`, () =>
    result.format === "dense" ? result : reference.decodeWeight(result),
  );
  const elements = outFeatures * inFeatures;
  requireThat(dense.data?.length === elements, `${elements} numbers for ${matrix.name}`, `${dense.data?.length}`);
  const typed = dense.data instanceof Float32Array === (dense.dtype === "f32");
  requireThat(typed, `data of type ${dense.dtype} for ${matrix.name}`, () => dense.data.constructor.name);
  const values = weightValues(dense);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  const place = `(${Math.floor(bad / inFeatures)}, ${bad % inFeatures})`;
  requireThat(bad < 0, `finite numbers for ${matrix.name}`, () => `${values[bad]} at ${place}`);
  return values;
}
