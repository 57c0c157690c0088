import type { LinearWeight, StatisticName } from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { reference } from "./masker-run.js";
import { type Matrix, modelMatrices, sizedMatrices, weightValues } from "./matrices.js";
import { requireRefusal } from "./nan-rule.js";
import { checkedValues, sparsifyAll, sparsifyOne, surveyAll, weightContext } from "./sparsifier-run.js";
import type { WeightOracle } from "./subject.js";
import { resultDifference } from "./weight-compare.js";

const statisticNames: readonly StatisticName[] = [
  "norm",
  "mean",
  "variance",
  "withinVariance",
  "hessian",
  "inputs",
  "activatedGate",
];

export function checkStatisticNames(maker: Maker): string {
  const { statistics } = maker.sparsifier();
  requireThat(Array.isArray(statistics), "a list of statistics", typeof statistics);
  const unknown = statistics.find((name) => !statisticNames.includes(name));
  requireThat(unknown === undefined, `statistics to be some of ${statisticNames.join(", ")}`, () => `"${unknown}"`);
  return `reads ${statistics.join(", ") || "none"}`;
}

/** With the declared statistics alone the result must be what it is with all of them. */
export function checkStatisticsSuffice(maker: Maker): undefined {
  const matrices = modelMatrices();
  const declared = sparsifyAll(maker.sparsifier(), matrices);
  const all = sparsifyAll(maker.sparsifier(), matrices, { allStatistics: true });
  const difference = resultDifference(matrices, declared, all);
  requireThat(
    difference === undefined,
    "the same result whether or not there are statistics that are not declared",
    () => difference!,
  );
}

export function checkResults(maker: Maker, matrices = modelMatrices()): string {
  const results = sparsifyAll(maker.sparsifier(), matrices);
  let [zeros, elements] = [0, 0];
  for (const [index, matrix] of matrices.entries()) {
    const values = checkedValues(matrix, results[index]);
    zeros += values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
    elements += values.length;
  }
  const formats = [...new Set(results.map(({ format }) => format))].join(", ");
  return `${((100 * zeros) / elements).toFixed(1)} % zeros; formats: ${formats}`;
}

export function checkBothTypes(maker: Maker): undefined {
  for (const dtype of ["f32", "bf16"] as const) {
    const matrices = modelMatrices({ dtype });
    const results = sparsifyAll(maker.sparsifier(), matrices, { dtype });
    for (const [index, matrix] of matrices.entries()) checkedValues(matrix, results[index]);
  }
}

/** One row goes through every result, with its selection where it has one. */
export function checkFormatsRun(maker: Maker): undefined {
  const matrices = modelMatrices();
  for (const [index, result] of sparsifyAll(maker.sparsifier(), matrices).entries()) {
    const { name, statistics, weight } = matrices[index];
    const x = statistics.inputs!.slice(0, weight.inFeatures);
    const out = new Float32Array(weight.outFeatures);
    attempt(`a weight that kernels run for ${name}`, () => multiply(x, result, out));
    requireThat(out.every(Number.isFinite), `finite outputs of ${name}`, "NaN or infinity");
  }
}

function multiply(x: Float32Array, weight: LinearWeight, out: Float32Array): void {
  if (weight.format === "dense") reference.linear(x, 1, reference.packWeight(weight, "f32"), out);
  else if (weight.format === "gated-rows") reference.gatedLinear(x, out.slice().fill(1), weight, "silu", out);
  else reference.linear(x, 1, weight, out, false, 1);
}

/** An error for each matrix, unless the method leaves it alone or chooses as it does for entirely other weights. */
export function checkNaN(maker: Maker): string {
  const spoiled = sizedMatrices(6, 8, { spoil: (weight) => weight.fill(Number.NaN, 20, 22) });
  const others = sizedMatrices(6, 8, { spoil: (weight) => weight.reverse() });
  const notes = spoiled.map((matrix, index) => {
    const chosen = (given: Matrix) => {
      const [result] = sparsifyAll(maker.sparsifier(), [given]);
      return result === given.weight ? undefined : zerosOf(result);
    };
    return requireRefusal(
      `the weights of ${matrix.name}`,
      () => chosen(matrix),
      () => chosen(others[index]),
      (actual, expected) => (actual === undefined || actual === expected ? undefined : "the choice"),
    );
  });
  return `${notes.filter((note) => note === undefined).length} of ${notes.length} projections refuse it, the others do not look at weights`;
}

/** Which weights are zero, as text. */
function zerosOf(weight: LinearWeight): string {
  const values = weightValues(weight.format === "dense" ? weight : reference.decodeWeight(weight));
  return values.map((value) => (value === 0 ? 1 : 0)).join("");
}

export function checkInputsUnchanged(maker: Maker): undefined {
  for (const matrix of modelMatrices()) {
    const copy = structuredClone({ weight: matrix.weight.data, ...matrix.statistics });
    sparsifyAll(maker.sparsifier(), [matrix]);
    const now: Record<string, ArrayLike<number> | undefined> = { weight: matrix.weight.data, ...matrix.statistics };
    for (const [name, before] of Object.entries(copy)) {
      const same = before?.every((value, e) => Object.is(value, now[name]![e])) ?? true;
      requireThat(same, `"${name}" of ${matrix.name} to stay as it was`, "other numbers");
    }
  }
}

export function checkSurvey(maker: Maker): string | undefined {
  const sparsifier = maker.sparsifier();
  if (!sparsifier.survey) return "no survey";
  const { passes = 1, measure, combine } = sparsifier.survey;
  const complete = typeof measure === "function" && typeof combine === "function";
  requireThat(complete, "a survey with the methods measure and combine", "one without");
  requireThat(Number.isInteger(passes) && passes >= 1, "a whole number of passes >= 1", `${passes}`);
  surveyAll(sparsifier, modelMatrices());
  return `${passes} passes`;
}

export function checkOracle(maker: Maker): undefined {
  const oracle = maker.subject.oracle as WeightOracle;
  const matrices: Matrix[] = [...modelMatrices(), ...sizedMatrices(3, 5)];
  const sparsifier = maker.sparsifier();
  for (const matrix of matrices) {
    const survey = surveyAll(sparsifier, [matrix]);
    const context = { ...weightContext(matrix, sparsifier.statistics), ...(survey !== undefined && { survey }) };
    const kept = oracle(context, maker.options());
    const values = checkedValues(matrix, sparsifyOne(sparsifier, matrix, context));
    const original = weightValues(matrix.weight);
    const bad = values.findIndex((value, e) => (value !== 0) !== (kept[e] === 1 && original[e] !== 0));
    const place = `weight (${Math.floor(bad / matrix.weight.inFeatures)}, ${bad % matrix.weight.inFeatures})`;
    requireThat(
      bad < 0,
      `the oracle's choice for ${matrix.name}`,
      () => `${place} ${values[bad] === 0 ? "removed" : "kept"}`,
    );
  }
}
