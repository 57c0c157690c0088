import type {
  DenseWeight,
  InnerPlugins,
  StatisticName,
  SurveyedMatrix,
  WeightContext,
  WeightSparsifier,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 4, queryHeads: 1, kvHeads: 1, headDim: 1, contextLength: 64 };
const weight = { format: "dense" } as unknown as DenseWeight;

/** A sparsifier whose result tells its name and the survey that it was given; `passes`: it has a survey that adds up its layers. */
function naming(name: string, { statistics = [], passes }: { statistics?: StatisticName[]; passes?: number }) {
  return {
    statistics,
    ...(passes !== undefined && {
      survey: {
        passes,
        measure: ({ layer, survey = 0 }: { layer: number; survey?: unknown }) => layer + (survey as number),
        combine: (matrices: readonly SurveyedMatrix[], previous: unknown) =>
          1000 * ((previous as number | undefined) ?? 0) +
          matrices.reduce((sum, { value }) => sum + (value as number), 0),
      },
    }),
    sparsify: (context: WeightContext) => ({ name, survey: context.survey, hasSurvey: "survey" in context }),
  };
}

const plugins = {
  weightSparsifier: ({ plugin: name, options }) => naming(name, options) as unknown as WeightSparsifier,
} as InnerPlugins;

const create = (options: object) => plugin.create(plugin.options.parse(options), model, plugins);
const contextOf = (layer: number, survey?: unknown) =>
  ({ layer, projection: "q_proj", weight, ...(survey !== undefined && { survey }) }) as unknown as WeightContext;

/** Runs all passes of a survey over one matrix per layer, as the pipeline does; values and results travel between threads. */
function runSurvey({ survey }: WeightSparsifier): unknown {
  let result: unknown;
  for (let pass = 0; pass < (survey?.passes ?? 1); pass++) {
    const matrices = Array.from({ length: model.layers }, (_, layer) => ({
      layer,
      projection: "q_proj" as const,
      value: structuredClone(survey!.measure(contextOf(layer, result))),
    }));
    result = structuredClone(survey!.combine(matrices, result));
  }
  return result;
}

const entry = (layers: string | number, name: string, options = {}) => ({ layers, plugin: name, options });

describe("weights-per-layer", () => {
  it("weights-per-layer sends each layer to its entry, the later one where two overlap, the rest to otherwise", () => {
    const { sparsify } = create({ layers: [entry("0-1", "a"), entry(1, "b")], otherwise: { plugin: "rest" } });
    const names = [0, 1, 2, 3].map((layer) => (sparsify(contextOf(layer)) as unknown as { name: string }).name);
    expect(names).toEqual(["a", "b", "rest", "rest"]);
  });

  it("weights-per-layer leaves layers alone that no entry selects where there is no otherwise", () => {
    const { sparsify } = create({ layers: [entry(0, "a")] });
    expect(sparsify(contextOf(3))).toBe(weight);
  });

  it("weights-per-layer declares each statistic of its entries once, and no survey where none has one", () => {
    const sparsifier = create({
      layers: [entry(0, "a", { statistics: ["norm", "mean"] }), entry(1, "b", { statistics: ["norm", "hessian"] })],
      otherwise: { plugin: "c" },
    });
    expect(sparsifier.statistics).toEqual(["norm", "mean", "hessian"]);
    expect(sparsifier.survey).toBeUndefined();
  });

  it("weights-per-layer gives each inner survey the matrices of its own layers, and its result to them alone", () => {
    const sparsifier = create({
      layers: [entry("0-2", "a", { passes: 1 }), entry(3, "b", { passes: 1 }), entry(1, "none")],
    });
    const survey = runSurvey(sparsifier);
    const surveys = [0, 1, 2, 3].map((layer) => sparsifier.sparsify(contextOf(layer, survey)));
    expect(surveys).toEqual([
      { name: "a", survey: 2, hasSurvey: true },
      { name: "none", survey: undefined, hasSurvey: false },
      { name: "a", survey: 2, hasSurvey: true },
      { name: "b", survey: 3, hasSurvey: true },
    ]);
  });

  it("weights-per-layer runs as many passes as the longest inner survey and gives each its own result of the pass before", () => {
    const sparsifier = create({ layers: [entry("0-1", "a", { passes: 2 }), entry("2-3", "b", { passes: 1 })] });
    expect(sparsifier.survey?.passes).toBe(2);
    // a: pass 1: 0 + 1 = 1; pass 2: (0 + 1) + (1 + 1) = 3 after 1000 * 1. b: 2 + 3, once.
    expect(runSurvey(sparsifier)).toEqual({ passes: 2, results: [1003, 5] });
  });

  it("weights-per-layer gives the same survey results as the inner sparsifier alone has over these layers", () => {
    const sparsifier = create({ layers: [entry("0-3", "a", { passes: 3 })] });
    const alone = naming("a", { passes: 3 }) as unknown as WeightSparsifier;
    expect(runSurvey(sparsifier)).toEqual({ passes: 3, results: [runSurvey(alone)] });
  });

  it("weights-per-layer ignores values that another plugin measured in the same layers", () => {
    const { survey } = create({ layers: [entry("0-3", "a", { passes: 1 })] });
    const matrices = [
      { layer: 0, projection: "q_proj" as const, value: { plugin: "a", value: 5 } },
      { layer: 1, projection: "q_proj" as const, value: { plugin: "other", value: 70 } },
      { layer: 2, projection: "q_proj" as const, value: null },
    ];
    expect(survey?.combine(matrices)).toEqual({ passes: 1, results: [5] });
  });

  it("weights-per-layer nests: an entry may be a weights-per-layer with a survey inside", () => {
    const nested = {
      weightSparsifier: (reference) =>
        reference.plugin === "weights-per-layer"
          ? plugin.create(plugin.options.parse(reference.options), model, nested)
          : plugins.weightSparsifier(reference),
    } as InnerPlugins;
    const deepest = { layers: [entry("1-2", "a", { passes: 2, statistics: ["norm"] })] };
    const middle = { layers: [entry("0-3", "weights-per-layer", deepest)] };
    const options = plugin.options.parse({ layers: [entry("1-3", "weights-per-layer", middle)] });
    const sparsifier = plugin.create(options, model, nested);
    expect(sparsifier.statistics).toEqual(["norm"]);
    const survey = runSurvey(sparsifier);
    // Pass 1: 1 + 2; pass 2: 1000 * 3 + (1 + 3) + (2 + 3).
    expect(sparsifier.sparsify(contextOf(2, survey))).toMatchObject({ name: "a", survey: 3009 });
    expect(sparsifier.sparsify(contextOf(3, survey))).toBe(weight);
    expect(sparsifier.sparsify(contextOf(0, survey))).toBe(weight);
  });

  it("weights-per-layer refuses a selection that leaves the model's layers, at its place", () => {
    const options = plugin.options.parse({ layers: [entry(0, "a"), entry("2-4", "a")] });
    expect(plugin.check?.(options, model)).toEqual([
      { path: ["layers", 1, "layers"], message: 'must select layers in 0..3, first before last, got "2-4"' },
    ]);
  });

  it.each([{}, { layers: [] }, { layers: [{ layers: 0 }] }, { layers: [{ plugin: "a" }] }])(
    "weights-per-layer refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );
});
