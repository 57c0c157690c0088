import { type AttentionInputs, headsFirst, type TuneContext, WinnowError } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import { tuner } from "./tune.js";

const operations = createReference();

/** Four layers, one head, d = 1, q = 1: the keys are the scores. A layer puts nearly all mass on the tokens that `peaks` names. */
const peaks = [
  [0, 1],
  [4, 5],
  [4, 5],
  [4, 5],
];

function layerInputs(layer: number, length: number, height: number): AttentionInputs {
  const keys = Float32Array.from({ length }, (_, j) => (peaks[layer].includes(j) ? height : 0));
  const cache = headsFirst(keys, 1, length, 1);
  return { q: headsFirst(Float32Array.of(1), 1, 1, 1), k: cache, v: cache };
}

function context({ promptLength = 10, height = 12, layers = 4 } = {}): TuneContext {
  return {
    model: { layers, queryHeads: 1, kvHeads: 1, headDim: 1, contextLength: 64 },
    scale: 1,
    operations,
    prompts: [new Int32Array(promptLength)],
    prefill: async () => {},
    decode: async (prompt, steps, visit) => {
      for (let step = 0; step < steps; step++)
        for (let layer = 0; layer < layers; layer++)
          visit(step, layer, layerInputs(layer, prompt.length + step + 1, height));
    },
    // The search looks at no weights.
    weights: undefined as never,
    progress: () => {},
  };
}

describe("tidal-decode tuner", () => {
  it("chooses layer 1, the first whose list holds the mass of the layers after it, and one selection", async () => {
    const { options } = await tuner.run(context(), { budget: 2, steps: 3 });
    expect(options).toEqual({ selectionLayers: [1], budget: 2 });
  });

  it("reports recall as softmax mass of the list: exp(lse_list - lse_dense)", async () => {
    const height = 1;
    const { report } = await tuner.run(context({ height }), { budget: 2, steps: 1, maxSelections: 1 });
    const dense = 2 * Math.exp(height) + 9;
    const fromLayer = (first: string) => report.find((row) => row.selectionLayers === first)!;
    expect(fromLayer("0").meanRecall).toBeCloseTo(2 / dense, 4);
    expect(fromLayer("1").meanRecall).toBeCloseTo((2 * Math.exp(height)) / dense, 4);
    expect(fromLayer("1").lowestLayerRecall).toBeCloseTo((2 * Math.exp(height)) / dense, 4);
  });

  it("counts layers below the first selection and the selections themselves as full reads, and bytes relative to dense", async () => {
    const { report } = await tuner.run(context({ promptLength: 9 }), { budget: 2, steps: 1 });
    const row = (set: string) => report.find(({ selectionLayers }) => selectionLayers === set)!;
    expect(row("0")).toMatchObject({ fullReadLayers: 1, bytesRatio: 0.4 });
    expect(row("1")).toMatchObject({ fullReadLayers: 2, bytesRatio: 0.6 });
    expect(row("0, 2")).toMatchObject({ fullReadLayers: 2, bytesRatio: 0.6 });
    expect(row("1, 3")).toMatchObject({ fullReadLayers: 3, bytesRatio: 0.8 });
  });

  it("takes the set of highest mean recall where none reaches the target", async () => {
    const { options, report } = await tuner.run(context({ height: 1 }), { budget: 2, steps: 2, maxSelections: 1 });
    expect(report.map(({ reachesTarget }) => reachesTarget)).toEqual(["no", "no", "no"]);
    expect(options.selectionLayers).toEqual([1]);
  });

  it("tries each first layer up to maxFirstLayer, alone and with each later layer that leaves it a layer to serve", async () => {
    const { report } = await tuner.run(context(), { budget: 2, steps: 1, maxFirstLayer: 9 });
    const sets = report.map(({ selectionLayers }) => selectionLayers).sort();
    expect(sets).toEqual(["0", "0, 2", "0, 3", "1", "1, 3", "2"]);
    expect(report.filter(({ chosen }) => chosen === "yes")).toHaveLength(1);
  });

  it("refuses prompts that never exceed the budget, for every set would read everything", async () => {
    const run = tuner.run(context({ promptLength: 5 }), { budget: 8, steps: 3 });
    await expect(run).rejects.toThrow(WinnowError);
    await expect(run).rejects.toThrow("must be longer than budget (8)");
  });

  it("refuses a model of one layer", async () => {
    await expect(tuner.run(context({ layers: 1 }), { budget: 2 })).rejects.toThrow("model.layers must be at least 2");
  });
});
