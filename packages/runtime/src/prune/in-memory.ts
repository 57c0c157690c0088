import type { RunHooks } from "../engine/generation.js";
import type { Plan } from "../plan/plan.js";
import type { WorkerPool } from "../workers/main/pool.js";
import type { LoadResult } from "../workers/messages.js";
import type { PruneJob } from "./job.js";
import { changesWeights } from "./matrices.js";
import { type Preparation, PruningPipeline, preparePruning } from "./pipeline.js";
import { withMatrices } from "./places.js";
import { PruneCache, type PrunedMatrices } from "./prune-cache.js";
import { runKey } from "./run-key.js";
import { WorkFolder } from "./work-folder.js";

export interface PruneLoadedHooks extends RunHooks {
  onNotice?(text: string): void;
}

/**
 * The loaded model after the sparsifiers of its plan, held as `weightFormat` says. What was calibrated or surveyed is kept for the next start, unless `calibration.cache` is false.
 * Files of the run are in a temporary folder. Errors as of `prune`.
 */
export async function pruneLoaded(
  pool: WorkerPool,
  plan: Plan,
  loaded: LoadResult,
  hooks: PruneLoadedHooks,
): Promise<LoadResult> {
  if (!changesWeights(plan, "memory")) return loaded;
  const started = performance.now();
  const job = { pool, plan, hooks };
  const { weights } = loaded.model;
  const preparation = await preparePruning(job, "memory");
  const cache = cacheOf(job, preparation, hooks);
  const kept = await cache?.read(weights.layers);
  const results = kept ?? (await pruneNow(job, preparation));
  if (!kept) await cache?.write(results);
  const layers = weights.layers.map((layer, index) => {
    const changes = results.get(index);
    return changes ? withMatrices(layer, changes) : layer;
  });
  const pruned = { reused: kept !== undefined, seconds: (performance.now() - started) / 1000 };
  return { ...loaded, model: { ...loaded.model, weights: { ...weights, layers } }, pruned };
}

/** Undefined where it is off, and for sparsifiers that look at one matrix alone: these take about as long as reading their results. */
function cacheOf(job: PruneJob, { needs, sample }: Preparation, hooks: PruneLoadedHooks): PruneCache | undefined {
  const { plan } = job;
  const costsMuch = sample !== undefined || needs.some(({ surveyPasses }) => surveyPasses > 0);
  if (!costsMuch || plan.weights.calibration.cache === false) return undefined;
  return new PruneCache(job, runKey(plan, "memory", sample), (text) => hooks.onNotice?.(text));
}

async function pruneNow(job: PruneJob, preparation: Preparation): Promise<PrunedMatrices> {
  const folder = WorkFolder.temporary();
  try {
    const settings = { preparation, folder, keep: "memory", format: job.plan.weights.format } as const;
    return await new PruningPipeline(job, settings).run();
  } finally {
    folder.remove();
  }
}
