import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { WinnowError } from "@winnow/core";
import { layerSpec, openModelFolder, readModelConfig, writeModel } from "@winnow/models";
import { type ConfigSource, type CreateEngineOptions, documentOf, planIn } from "../engine/create-engine.js";
import type { Plan } from "../plan/plan.js";
import { builtInKernelPackages, loadKernelPackage } from "../registry/kernel-packages.js";
import { WorkerPool } from "../workers/main/pool.js";
import type { PruneJob } from "./job.js";
import { changesWeights } from "./matrices.js";
import { readMatrixFile } from "./matrix-file.js";
import { PruningPipeline, preparePruning } from "./pipeline.js";
import { roleOf } from "./places.js";
import { provenanceOf } from "./provenance.js";
import { runKey } from "./run-key.js";
import type { CalibrationSample, MatrixReport } from "./tasks.js";
import { WorkFolder } from "./work-folder.js";

export interface PruneOptions extends CreateEngineOptions {
  /** Folder of the new model; beside it, `<out>.partial` holds the work of a run that has not finished. */
  readonly out: string;
  /** `plain` (default): ordinary safetensors with zeros. `sparse`: the compact format, with matrices as `weightFormat` says. */
  readonly form?: "plain" | "sparse";
  /** Replace a model folder that is there. */
  readonly overwrite?: boolean;
}

export interface PruneReport {
  readonly out: string;
  readonly form: "plain" | "sparse";
  /** In order of layers and projections. */
  readonly matrices: readonly MatrixReport[];
  /** Null where no sparsifier needed statistics. */
  readonly calibration: { readonly text: string; readonly sha256: string; readonly tokens: number } | null;
  /** Layers that an interrupted run had finished. */
  readonly resumedLayers: number;
  /** Bytes of all tensors of the new model. */
  readonly tensorBytes: number;
  readonly seconds: number;
}

/** Share of the progress bar that writing the folder takes. */
const WRITE_SHARE = 0.05;

/**
 * Runs the sparsifiers of a configuration over its model and writes the result as a model folder, as a whole or not at all. An interrupted run goes on after the
 * last finished layer when it is started again with the same configuration, model and text; the result has the same bits.
 *
 * Errors: those of `createPlan`; `ERR_OPTION_MISSING` where there is nothing to do; `ERR_CALIBRATION`, `ERR_PLUGIN_FAILED`, `ERR_PLUGIN_RESULT`,
 * `ERR_WEIGHT_FORMAT`, `ERR_MODEL_*`, `ERR_OUTPUT_FILE`; an aborted signal rejects with its reason.
 *
 * @example
 * await prune("configs/wanda.yaml", { out: "models/winnow-16m-wanda" });
 */
export async function prune(source: ConfigSource, options: PruneOptions): Promise<PruneReport> {
  const started = performance.now();
  const { out, form = "plain", overwrite = false } = options;
  const config = documentOf(source, options);
  const pool = new WorkerPool(config.value.workers, config.value.limits);
  try {
    const plan = await planIn(pool, config, options);
    if (!changesWeights(plan, form)) {
      const wanted =
        form === "plain" ? "name at least one sparsifier" : "name at least one sparsifier, or set weightFormat";
      throw config.fail(["weights"], "ERR_OPTION_MISSING", `must ${wanted}: there is nothing to prune`);
    }
    checkOut(out, overwrite);
    const onProgress = (share: number, label: string) => options.onProgress?.(share * (1 - WRITE_SHARE), label);
    const hooks = { ...(options.signal && { signal: options.signal }), onProgress };
    const done = await pruneInto({ pool, plan, hooks }, { ...options, form, overwrite });
    return { out, form, ...done, seconds: (performance.now() - started) / 1000 };
  } finally {
    await pool.close();
  }
}

type Settings = PruneOptions & Required<Pick<PruneOptions, "form" | "overwrite">>;

async function pruneInto(job: PruneJob, settings: Settings): Promise<Omit<PruneReport, "out" | "form" | "seconds">> {
  const { out, form, onNotice } = settings;
  const { plan } = job;
  const preparation = await preparePruning(job, form);
  const { sample } = preparation;
  const key = runKey(plan, form, sample);
  const folder = WorkFolder.resumable(`${resolve(out)}.partial`, key, (text) => onNotice?.(text));
  try {
    const resumedLayers = folder.layersDone;
    await new PruningPipeline(job, { preparation, folder, keep: form, format: plan.weights.format }).run();
    const tensorBytes = await write(plan, folder, sample, settings);
    folder.remove();
    return {
      matrices: folder.reports,
      calibration: sample ? { text: sample.text, sha256: sample.sha256, tokens: sample.ids.length } : null,
      resumedLayers,
      tensorBytes,
    };
  } finally {
    folder.release();
  }
}

/** Before hours of work, not after. */
function checkOut(out: string, overwrite: boolean): void {
  if (overwrite || !existsSync(out)) return;
  let problem = "it is not a folder";
  try {
    if (readdirSync(out).length === 0) return;
    problem = "the folder is not empty";
  } catch {
    // A file: said above.
  }
  const advice = "Choose another out, or set overwrite";
  throw new WinnowError("ERR_OUTPUT_FILE", `Cannot write model "${out}": ${problem}. ${advice}.`);
}

async function write(
  plan: Plan,
  folder: WorkFolder,
  sample: CalibrationSample | undefined,
  { out, form, overwrite, signal, onProgress }: Settings,
): Promise<number> {
  const source = openModelFolder(plan.model.folder);
  const config = readModelConfig(source);
  const matricesOf = (layer: number) => {
    const spec = layerSpec(config, layer);
    const places = folder.reports.filter((report) => report.layer === layer);
    return new Map(
      places.map((place) => [spec[roleOf(place.projection)].weight, readMatrixFile(folder.matrixFile(place))]),
    );
  };
  const kernels = await loadLinearKernels(plan);
  try {
    const { tensorBytes } = await writeModel(out, source, matricesOf, {
      form,
      overwrite,
      provenance: provenanceOf(plan, folder.reports, sample),
      operations: { decodeWeight: (weight) => kernels.operations.decodeWeight!(weight) },
      onProgress: (share) => onProgress?.(1 - WRITE_SHARE + share * WRITE_SHARE, "writing the model"),
      ...(signal && { signal }),
    });
    return tensorBytes;
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    await kernels.close();
  }
}

/** What decodes matrices; code of kernel plugins runs in workers only, and all packages give the same numbers. */
async function loadLinearKernels({ kernels }: Plan) {
  const assigned = kernels.assignment.linear;
  const kernelPackage = await loadKernelPackage(builtInKernelPackages.includes(assigned) ? assigned : "reference");
  return kernelPackage.load({ threads: 1, isa: kernels.isa });
}
