import type { RunHooks } from "../engine/generation.js";
import type { Plan } from "../plan/plan.js";
import type { WorkerPool } from "../workers/main/pool.js";
import type { LoadResult } from "../workers/messages.js";
import { changesWeights } from "./matrices.js";
import { PruningPipeline, preparePruning } from "./pipeline.js";
import { withMatrices } from "./places.js";
import { WorkFolder } from "./work-folder.js";

/** The loaded model after the sparsifiers of its plan, held as `weightFormat` says. Files of the run are in a temporary folder. Errors as of `prune`. */
export async function pruneLoaded(
  pool: WorkerPool,
  plan: Plan,
  loaded: LoadResult,
  hooks: RunHooks,
): Promise<LoadResult> {
  if (!changesWeights(plan, "memory")) return loaded;
  const job = { pool, plan, hooks };
  const preparation = await preparePruning(job, "memory");
  const folder = WorkFolder.temporary();
  try {
    const settings = { preparation, folder, keep: "memory", format: plan.weights.format } as const;
    const results = await new PruningPipeline(job, settings).run();
    const { weights } = loaded.model;
    const layers = weights.layers.map((layer, index) => {
      const changes = results.get(index);
      return changes ? withMatrices(layer, changes) : layer;
    });
    return { ...loaded, model: { ...loaded.model, weights: { ...weights, layers } } };
  } finally {
    folder.remove();
  }
}
