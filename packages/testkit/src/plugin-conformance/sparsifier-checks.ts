import type { ConformanceCheck } from "./check.js";
import type { Maker } from "./make.js";
import { type Matrix, modelMatrices, sizedMatrices } from "./matrices.js";
import { checkKernels, checkOrder, checkRepeats } from "./sparsifier-determinism.js";
import {
  checkBothTypes,
  checkFormatsRun,
  checkInputsUnchanged,
  checkNaN,
  checkOracle,
  checkResults,
  checkStatisticNames,
  checkStatisticsSuffice,
  checkSurvey,
} from "./sparsifier-rules.js";
import { checkBits, checkScores, checkZeros } from "./weight-scorer-rules.js";

/** Matrices that a sparsifier must cope with. */
const edges: readonly (readonly [id: string, title: string, matrices: () => Matrix[]])[] = [
  ["one-by-one", "a matrix may be 1 x 1", () => sizedMatrices(1, 1)],
  ["three-by-five", "a matrix may be 3 x 5", () => sizedMatrices(3, 5)],
  [
    "dead-inputs",
    "inputs may be zero for all tokens",
    () => modelMatrices({ input: (value, _, channel) => (channel % 3 === 0 ? 0 : value) }),
  ],
  [
    "constant-inputs",
    "inputs may be the same for all tokens",
    () => modelMatrices({ input: (_, __, channel) => 1 + channel }),
  ],
  [
    "zero-rows",
    "rows of a matrix may be all zero",
    () => modelMatrices({ spoil: (weight, rows, columns) => weight.fill(0, 0, columns * Math.ceil(rows / 2)) }),
  ],
  ["equal-weights", "all weights may be equal", () => modelMatrices({ spoil: (weight) => weight.fill(0.5) })],
];

type Rule = (maker: Maker) => string | undefined | Promise<string>;

/** Rules for what turns a matrix into a sparse one. */
export function sparsifierChecks(maker: Maker): ConformanceCheck[] {
  const sparsify = "weight-sparsifier.ts: WeightSparsifier.sparsify";
  const statistics = "weight-sparsifier.ts: WeightSparsifier.statistics";
  const check = (id: string, title: string, clause: string, rule: Rule): ConformanceCheck => ({
    id,
    title,
    clause,
    run: async () => rule(maker),
  });
  const checks = [
    check("statistics-known", "the declared statistics are ones that there are", statistics, checkStatisticNames),
    check(
      "statistics-suffice",
      "statistics that are not declared make no difference",
      statistics,
      checkStatisticsSuffice,
    ),
    check("result-valid", "results have the matrix's shape and bias, can be decoded, and are finite", sparsify, (m) =>
      checkResults(m),
    ),
    check("result-runs", "kernels run every result", "linear-weight.ts: LinearWeight", checkFormatsRun),
    check(
      "dtypes",
      "weights and results may be f32 or bf16",
      "weight-sparsifier.ts: WeightContext.dtype",
      checkBothTypes,
    ),
    ...edges.map(([id, title, matrices]) => check(id, title, sparsify, (m) => checkResults(m, matrices()))),
    check("nan-refused", "a NaN weight is an error, not a silent choice", "errors.ts: ERR_MODEL_TENSOR", checkNaN),
    check(
      "inputs-unchanged",
      "weights and statistics stay as they are",
      "weight-sparsifier.ts: WeightContext",
      checkInputsUnchanged,
    ),
    check(
      "survey",
      "a survey is whole, and its values can go to another worker",
      "weight-sparsifier.ts: WeightSurvey",
      checkSurvey,
    ),
    check("repeats", "the same matrix gets the same result each time", sparsify, checkRepeats),
    check("any-order", "matrices may come in any order", "weight-sparsifier.ts: WeightSparsifier", checkOrder),
    check(
      "kernels-agree",
      "results do not depend on kernels, threads or instruction set",
      "operations.ts: Operations",
      checkKernels,
    ),
  ];
  const oracle = check("oracle", "the weights that stay are those of the oracle", sparsify, checkOracle);
  return maker.subject.oracle ? [...checks, oracle] : checks;
}

/** Rules for the small form, before `core` removes weights by its scores. */
export function weightScorerChecks(maker: Maker): ConformanceCheck[] {
  return [
    {
      id: "weight-scores",
      title: "score returns one number per weight, none of them NaN",
      clause: "weight-sparsifier.ts: WeightScorer.score",
      run: async () => checkScores(maker),
    },
    {
      id: "zero-count",
      title: "as many weights become zero as the pattern says",
      clause: "weight-sparsifier.ts: SparsityPattern",
      run: async () => checkZeros(maker),
    },
    {
      id: "kept-bits",
      title: "kept weights keep their bits",
      clause: "weight-scorer.ts: sparsifierFromScorer",
      run: async () => checkBits(maker),
    },
  ];
}
