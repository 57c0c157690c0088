import { type CalibrationStatistics, projectionInput, type StatisticName, WinnowError } from "@winnow/core";
import type { LayerWeights } from "@winnow/models";
import { type PruneJob, runStep } from "./job.js";
import type { StatisticPlace, WantedStatistics } from "./places.js";
import { InputSums } from "./statistics.js";
import type { GatheredPart, InputSamples, LoadedLayer, SequenceRange } from "./tasks.js";

/** Tokens of one task: enough to be worth it, few enough to divide the work. Statistics are summed up by these parts, so the number is part of the result. */
const PART_TOKENS = 4096;

/** The calibration windows of a run. */
export interface Windows {
  readonly sequences: number;
  /** Tokens of each. */
  readonly length: number;
  /** Tokens whose inputs are sampled. */
  readonly sampledTokens: number;
}

export type LayerStatistics = Readonly<Partial<Record<StatisticPlace, CalibrationStatistics>>>;

/** Whole sequences, cut into the parts that tasks take. */
export function partsOf({ sequences, length }: Windows): SequenceRange[] {
  const step = Math.max(1, Math.floor(PART_TOKENS / length));
  return Array.from({ length: Math.ceil(sequences / step) }, (_, index) => ({
    start: index * step,
    end: Math.min(sequences, (index + 1) * step),
    length,
  }));
}

export interface LayerPass {
  readonly layer: number;
  /** The dense layer. */
  readonly loaded: LoadedLayer & { readonly packed: LayerWeights };
  readonly file: string;
  readonly wanted: WantedStatistics;
}

/** Statistics of a dense layer over all windows. Parts run side by side and are summed up in order, so that the number of workers does not show. */
export async function gatherLayer(
  job: PruneJob,
  windows: Windows,
  { layer, loaded, file, wanted }: LayerPass,
  report: (share: number) => void,
): Promise<LayerStatistics> {
  const parts = partsOf(windows);
  const samples = allocateSamples(windows, wanted, loaded);
  const shared = { step: "gather", layer, weights: loaded.packed, file, wanted, samples } as const;
  const totals = new Map(
    Object.entries(wanted).map(([place, names]) => [
      place as StatisticPlace,
      new InputSums(widthOf(loaded, place), names),
    ]),
  );
  const shares = new Float64Array(parts.length);
  for (let start = 0; start < parts.length; start += job.plan.workers) {
    const wave = parts.slice(start, start + job.plan.workers);
    const gathered = await Promise.all(
      wave.map((range, index) =>
        runStep<GatheredPart>(job, { ...shared, range }, (share) => {
          shares[start + index] = share;
          report(shares.reduce((sum, value) => sum + value, 0) / parts.length);
        }),
      ),
    );
    for (const part of gathered) await addPart(job, totals, part);
  }
  return finish(layer, windows, totals, samples);
}

async function addPart(
  job: PruneJob,
  totals: ReadonlyMap<StatisticPlace, InputSums>,
  part: GatheredPart,
): Promise<void> {
  for (const [place, total] of totals) {
    const { hessian, ...sums } = part[place] ?? {};
    total.addPart(sums);
    // Large, so not on this thread.
    if (hessian && total.hessian) await runStep(job, { step: "merge", into: total.hessian, part: hessian });
  }
}

function finish(
  layer: number,
  { sequences, length }: Windows,
  totals: ReadonlyMap<StatisticPlace, InputSums>,
  { inputs, activatedGate }: InputSamples,
): LayerStatistics {
  return Object.fromEntries(
    [...totals].map(([place, total]) => {
      const sampled = inputs[place];
      const statistics = {
        ...total.result(sequences * length, sequences),
        ...(sampled && { inputs: sampled }),
        ...(activatedGate && (place === "mlp" || place === "down") && { activatedGate }),
      };
      checkFinite(layer, place, statistics);
      return [place, statistics];
    }),
  );
}

/** Evenly spread tokens, and room for their inputs at the places where they are wanted. */
function allocateSamples(
  { sequences, length, sampledTokens }: Windows,
  wanted: WantedStatistics,
  loaded: LoadedLayer,
): InputSamples {
  const all = sequences * length;
  const count = Math.min(sampledTokens, all);
  const tokens = Int32Array.from({ length: count }, (_, slot) => Math.floor(((slot + 0.5) * all) / count));
  const places = Object.entries(wanted) as [StatisticPlace, readonly StatisticName[]][];
  const room = (width: number) => new Float32Array(new SharedArrayBuffer(4 * count * width));
  const inputs = places
    .filter(([, names]) => names.includes("inputs"))
    .map(([place]) => [place, room(widthOf(loaded, place))]);
  const gate = places.some(([, names]) => names.includes("activatedGate"));
  return {
    tokens,
    inputs: Object.fromEntries(inputs),
    ...(gate && { activatedGate: room(loaded.own.gate_proj.outFeatures) }),
  };
}

function widthOf({ own }: LoadedLayer, place: string): number {
  return Object.entries(own).find(([projection]) => projectionInput[projection as keyof typeof own] === place)![1]
    .inFeatures;
}

function checkFinite(layer: number, place: StatisticPlace, { hessian, ...statistics }: CalibrationStatistics): void {
  const width = hessian ? Math.sqrt(hessian.length) : 0;
  // No entry of a gram matrix is larger than its diagonal.
  const diagonal = Float32Array.from({ length: width }, (_, j) => hessian![j * (width + 1)]);
  const all = { norm: statistics.norm, variance: statistics.variance, hessian: diagonal };
  for (const [name, values] of Object.entries(all)) {
    if (values === undefined || values.every(Number.isFinite)) continue;
    throw new WinnowError(
      "ERR_CALIBRATION",
      `Cannot calibrate: the statistic "${name}" of the ${place} inputs of layer ${layer} is not finite; the inputs are too large. Check that the unpruned model runs on this text, or use fewer sequences.`,
    );
  }
}
