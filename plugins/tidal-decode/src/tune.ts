import { defineOptions, type OptionsOf, option, type Tuner, WinnowError } from "@winnow/core";
import { z } from "zod";
import { options as pluginOptions } from "./options.js";
import { measureRecall, type RecallTable } from "./recall.js";

const tunerOptions = defineOptions({
  budget: pluginOptions.shape.budget,
  maxFirstLayer: option(z.int().min(0).default(4), {
    description: "Highest first selection layer that is tried; every layer below it stays dense, so more is slower.",
    unit: "layers",
    source: "paper: the third layer (2)",
  }),
  maxSelections: option(z.union([z.literal(1), z.literal(2)]).default(2), {
    description: "Selection layers per step that are tried: the first alone, or a second one too.",
    unit: "layers",
    source: "paper: 2",
  }),
  steps: option(z.int().min(1).default(8), {
    description: "Decoded tokens after each prompt that are measured; more takes longer and varies less.",
    unit: "tokens",
  }),
  targetRecall: option(z.number().min(0).max(1).default(0.9), {
    description:
      "Share of the attention mass that the lists must hold, mean over the layers that use one; more is slower.",
    unit: "fraction",
  }),
  targetLayerRecall: option(z.number().min(0).max(1).default(0.7), {
    description: "The same for the worst of these layers (mean over heads, steps and prompts).",
    unit: "fraction",
  }),
});

type TunerOptions = OptionsOf<typeof tunerOptions>;

interface Candidate {
  readonly selectionLayers: readonly number[];
  readonly fullReadLayers: number;
  /** K and V bytes read per step, relative to dense. */
  readonly bytesRatio: number;
  readonly meanRecall: number;
  readonly lowestLayerRecall: number;
}

/**
 * Chooses the selection layers of a model by measurement: of the sets whose lists hold enough attention mass in every later layer, the one with the
 * fewest full reads (then the highest recall); where none does, the one of highest mean recall. The paper chooses the re-selection layer per
 * model family by needle accuracy (Section 4); recall needs no task.
 */
export const tuner: Tuner = {
  options: tunerOptions,
  async run(context, given) {
    const options = tunerOptions.parse(given);
    requireLaterLayers(context.model.layers);
    const table = await measureRecall(context, options.budget, options.steps);
    requireMeasurement(table, options);
    const candidates = selectionSets(context.model.layers, options).map((set) => evaluateSet(set, table));
    const best = choose(candidates, options);
    return {
      options: { selectionLayers: [...best.selectionLayers], budget: options.budget },
      files: [],
      report: candidates.sort(cheapestFirst).map((candidate) => ({
        selectionLayers: candidate.selectionLayers.join(", "),
        fullReadLayers: candidate.fullReadLayers,
        bytesRatio: rounded(candidate.bytesRatio),
        meanRecall: rounded(candidate.meanRecall),
        lowestLayerRecall: rounded(candidate.lowestLayerRecall),
        reachesTarget: reaches(candidate, options) ? "yes" : "no",
        chosen: candidate === best ? "yes" : "",
      })),
    };
  },
};

function requireLaterLayers(layers: number): void {
  if (layers >= 2) return;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot tune tidal-decode: model.layers must be at least 2, got ${layers}. No later layer could use a list.`,
  );
}

function requireMeasurement({ steps }: RecallTable, { budget }: TunerOptions): void {
  if (steps > 0) return;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot tune tidal-decode: some prompt must be longer than budget (${budget}), or every set reads everything. ` +
      "Lower budget or give longer prompts.",
  );
}

/** Every set each of whose selections has a layer to use its list, but for a second one in the last layer, which makes that layer dense. */
function selectionSets(layers: number, { maxFirstLayer, maxSelections }: TunerOptions): number[][] {
  const sets: number[][] = [];
  for (let first = 0; first <= Math.min(layers - 2, maxFirstLayer); first++) {
    sets.push([first]);
    if (maxSelections === 1) continue;
    for (let second = first + 2; second < layers; second++) sets.push([first, second]);
  }
  return sets;
}

function evaluateSet(selectionLayers: number[], table: RecallTable): Candidate {
  const { layers, recall, listBytes, denseBytes } = table;
  let bytes = 0;
  let sum = 0;
  let lowest = 1;
  let sparse = 0;
  for (let layer = 0; layer < layers; layer++) {
    const source = selectionLayers.findLast((selection) => selection <= layer);
    if (source === undefined || source === layer) {
      bytes += denseBytes[layer];
      continue;
    }
    const pair = source * layers + layer;
    bytes += listBytes[pair];
    sum += recall[pair];
    lowest = Math.min(lowest, recall[pair]);
    sparse++;
  }
  return {
    selectionLayers,
    fullReadLayers: layers - sparse,
    bytesRatio: bytes / denseBytes.reduce((a, b) => a + b),
    meanRecall: sum / sparse,
    lowestLayerRecall: lowest,
  };
}

function choose(candidates: readonly Candidate[], options: TunerOptions): Candidate {
  const reaching = candidates.filter((candidate) => reaches(candidate, options));
  if (reaching.length > 0) return reaching.toSorted(cheapestFirst)[0];
  return candidates.toSorted((a, b) => b.meanRecall - a.meanRecall)[0];
}

function reaches(candidate: Candidate, { targetRecall, targetLayerRecall }: TunerOptions): boolean {
  return candidate.meanRecall >= targetRecall && candidate.lowestLayerRecall >= targetLayerRecall;
}

function cheapestFirst(a: Candidate, b: Candidate): number {
  return a.fullReadLayers - b.fullReadLayers || b.meanRecall - a.meanRecall;
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
