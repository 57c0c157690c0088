import type { RunHooks } from "../engine/generation.js";
import type { Plan } from "../plan/plan.js";
import type { WorkerPool } from "../workers/main/pool.js";
import type { PruneStep } from "./tasks.js";

/** Where the steps of a pruning run go. */
export interface PruneJob {
  readonly plan: Plan;
  readonly pool: WorkerPool;
  readonly hooks: RunHooks;
}

export function runStep<Result>(
  { plan, pool, hooks: { signal } }: PruneJob,
  step: PruneStep,
  onShare?: (share: number) => void,
): Promise<Result> {
  return pool.run<Result>(
    { type: "prune", plan, step },
    {
      ...(signal && { signal }),
      ...(onShare && { onEvent: (event) => event.event === "progress" && onShare(event.share) }),
    },
  );
}
