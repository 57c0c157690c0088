import { type LinearWeight, type Projection, projectionInput } from "@winnow/core";
import type { LayerWeights } from "@winnow/models";
import type { WeightFormatChoice } from "../config/weights.js";
import type { MatrixPlace } from "../plan/plan.js";
import { checkBiasPlaces } from "./bias-places.js";
import { gatherLayer, type LayerStatistics, partsOf, type Windows } from "./gather-layer.js";
import { type PruneJob, runStep } from "./job.js";
import { type MatrixWork, wantedOf, workOfLayer } from "./matrices.js";
import { withMatrices } from "./places.js";
import { PruneProgress } from "./progress.js";
import { runSurveys } from "./run-survey.js";
import type { CalibrationSample, Keep, LoadedLayer, SparsifiedMatrix, SparsifierNeeds } from "./tasks.js";
import type { WorkFolder } from "./work-folder.js";

/** What must be known before the first layer. */
export interface Preparation {
  /** By index in the plan. */
  readonly needs: readonly SparsifierNeeds[];
  /** Absent if no sparsifier needs statistics. */
  readonly sample?: CalibrationSample;
}

/**
 * Makes the sparsifiers and draws the calibration windows if any sparsifier needs statistics. Error: `ERR_WEIGHT_FORMAT` where a sparsifier may bring biases that the
 * form cannot hold.
 */
export async function preparePruning(job: PruneJob, keep: Keep["as"]): Promise<Preparation> {
  job.hooks.onProgress?.(0, "calibration text");
  const needs = await runStep<SparsifierNeeds[]>(job, { step: "describe" });
  if (keep === "plain") checkBiasPlaces(job.plan, needs);
  if (needs.every(({ statistics }) => statistics.length === 0)) return { needs };
  const settings = job.plan.weights.calibration;
  return { needs, sample: await runStep<CalibrationSample>(job, { step: "sample", settings }) };
}

/** Shares of the work, by experience: a dense pass with its statistics, a pass alone, and the matrices of a layer. */
const cost = { embed: 0.2, survey: 1, gather: 3, sparsify: 1, propagate: 1.5 };

export interface PipelineSettings {
  readonly preparation: Preparation;
  readonly folder: WorkFolder;
  /** `memory`: the results are returned; otherwise they are files of the folder. */
  readonly keep: Keep["as"];
  readonly format: WeightFormatChoice;
}

/**
 * Prunes a model layer by layer. Statistics of a layer are those of the dense layer on inputs that come out of the layers before it with their new
 * weights. In memory are one layer and one sequence for each worker; residual streams are in a file. The bits of the result do not depend on the numbers of
 * workers and threads.
 */
export class PruningPipeline {
  readonly #job: PruneJob;
  readonly #settings: PipelineSettings;
  readonly #layers: readonly MatrixWork[][];
  readonly #progress: PruneProgress;
  readonly #results = new Map<number, Map<Projection, LinearWeight>>();
  #surveys: ReadonlyMap<number, unknown> = new Map();

  constructor(job: PruneJob, settings: PipelineSettings) {
    this.#job = job;
    this.#settings = settings;
    const { layers } = job.plan.model.shape;
    this.#layers = Array.from({ length: layers }, (_, layer) => workOfLayer(job.plan, layer, settings.keep));
    const total = this.#layers.reduce((sum, _, layer) => sum + this.#costOf(layer), this.#surveyCost() + cost.embed);
    this.#progress = new PruneProgress(job.hooks, total);
  }

  /** Results by layer where they are kept in memory. */
  async run(): Promise<ReadonlyMap<number, ReadonlyMap<Projection, LinearWeight>>> {
    const { folder } = this.#settings;
    if (folder.layersDone === this.#layers.length) return this.#results;
    if (this.#surveyCost() > 0)
      this.#surveys = await this.#progress.phase(cost.survey, "survey", (report) =>
        runSurveys(this.#job, this.#settings.preparation.needs, report),
      );
    await this.#embed();
    for (let layer = 0; layer < folder.layersDone; layer++) this.#progress.skip(this.#costOf(layer));
    for (let layer = folder.layersDone; layer < this.#layers.length; layer++) await this.#layer(layer);
    return this.#results;
  }

  async #embed(): Promise<void> {
    const { folder, preparation } = this.#settings;
    if (!preparation.sample || folder.layersDone > 0) return this.#progress.skip(cost.embed);
    const { ids } = preparation.sample;
    const { length } = this.#windows;
    await this.#progress.phase(cost.embed, "embedding", (report) =>
      runStep(this.#job, { step: "embed", file: folder.residualFile(0), ids, length }, report),
    );
  }

  async #layer(layer: number): Promise<void> {
    const { folder } = this.#settings;
    const run = this.#gathers(layer) || this.#propagates(layer);
    const isIdle = this.#layers[layer].length === 0 && !run;
    if (isIdle) return folder.finishLayer([]);
    const loaded = await runStep<LoadedLayer>(this.#job, { step: "load-layer", layer, run });
    const statistics = await this.#gather(layer, loaded);
    const matrices = await this.#sparsify(layer, loaded, statistics);
    await this.#propagate(layer, loaded, matrices);
    folder.finishLayer(matrices.map(({ report }) => report));
  }

  async #gather(layer: number, loaded: LoadedLayer): Promise<LayerStatistics> {
    const { packed } = loaded;
    if (!this.#gathers(layer) || !packed) return {};
    const wanted = this.#wanted(layer);
    const pass = { layer, loaded: { ...loaded, packed }, file: this.#settings.folder.residualFile(layer), wanted };
    return this.#progress.phase(
      cost.gather,
      this.#label(layer, "statistics"),
      (report) => gatherLayer(this.#job, this.#windows, pass, report),
      this.#tokens,
    );
  }

  /** Every matrix is a task of its own. */
  async #sparsify(layer: number, loaded: LoadedLayer, statistics: LayerStatistics): Promise<SparsifiedMatrix[]> {
    const work = this.#layers[layer];
    if (work.length === 0) return [];
    let done = 0;
    const sparsified = await this.#progress.phase(cost.sparsify, this.#label(layer, "matrices"), (report) =>
      Promise.all(
        work.map(async (matrix) => {
          const result = await this.#sparsifyMatrix(
            { layer, projection: matrix.projection },
            matrix,
            loaded,
            statistics,
          );
          report(++done / work.length);
          return result;
        }),
      ),
    );
    const stored = sparsified.flatMap((matrix, index): [Projection, LinearWeight][] =>
      matrix.stored ? [[work[index].projection, matrix.stored]] : [],
    );
    if (stored.length > 0) this.#results.set(layer, new Map(stored));
    return sparsified;
  }

  #sparsifyMatrix(
    place: MatrixPlace,
    { sparsifiers }: MatrixWork,
    { own }: LoadedLayer,
    statistics: LayerStatistics,
  ): Promise<SparsifiedMatrix> {
    const planned = this.#job.plan.weights.sparsifiers;
    return runStep<SparsifiedMatrix>(this.#job, {
      step: "sparsify",
      ...place,
      original: own[place.projection],
      sparsifiers: sparsifiers.map((index) => ({ planned: planned[index], survey: this.#surveys.get(index) })),
      statistics: statistics[projectionInput[place.projection]] ?? { tokens: 0, sequences: 0 },
      run: this.#propagates(place.layer),
      keep: this.#keepOf(place),
    });
  }

  #keepOf(place: MatrixPlace): Keep {
    const { keep, format, folder } = this.#settings;
    if (keep === "memory") return { as: keep, format };
    return keep === "sparse"
      ? { as: keep, format, file: folder.matrixFile(place) }
      : { as: keep, file: folder.matrixFile(place) };
  }

  async #propagate(layer: number, { packed }: LoadedLayer, matrices: readonly SparsifiedMatrix[]): Promise<void> {
    if (!this.#propagates(layer) || !packed) return;
    const changes = matrices.flatMap((matrix): [Projection, LinearWeight][] =>
      matrix.packed ? [[matrix.report.projection, matrix.packed]] : [],
    );
    const weights: LayerWeights = withMatrices(packed, new Map(changes));
    const { folder } = this.#settings;
    const step = {
      step: "propagate",
      layer,
      weights,
      from: folder.residualFile(layer),
      to: folder.residualFile(layer + 1),
    } as const;
    const parts = partsOf(this.#windows);
    const shares = new Float64Array(parts.length);
    await this.#progress.phase(
      cost.propagate,
      this.#label(layer, "output"),
      (report) =>
        Promise.all(
          parts.map((range, index) =>
            runStep(this.#job, { ...step, range }, (share) => {
              shares[index] = share;
              report(shares.reduce((sum, value) => sum + value, 0) / parts.length);
            }),
          ),
        ),
      this.#tokens,
    );
  }

  get #windows(): Windows {
    return this.#job.plan.weights.calibration;
  }

  get #tokens(): number {
    return this.#windows.sequences * this.#windows.length;
  }

  #wanted(layer: number) {
    return wantedOf(this.#layers[layer], this.#settings.preparation.needs);
  }

  #gathers(layer: number): boolean {
    return Object.keys(this.#wanted(layer)).length > 0;
  }

  /** Whether a later layer needs what comes out of this one. */
  #propagates(layer: number): boolean {
    return this.#layers.some((_, later) => later > layer && this.#gathers(later));
  }

  #costOf(layer: number): number {
    const sparsify = this.#layers[layer].length > 0 ? cost.sparsify : 0;
    return (this.#gathers(layer) ? cost.gather : 0) + sparsify + (this.#propagates(layer) ? cost.propagate : 0);
  }

  #surveyCost(): number {
    return this.#settings.preparation.needs.some(({ surveyPasses }) => surveyPasses > 0) ? cost.survey : 0;
  }

  #label(layer: number, what: string): string {
    return `layer ${layer + 1}/${this.#layers.length}: ${what}`;
  }
}
