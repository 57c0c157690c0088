import { ConfigDocument, configFromObject, readConfig } from "../config/config.js";
import type { PipelineInput } from "../config/schema.js";
import type { PlanOptions } from "../plan/make-plan.js";
import type { Plan } from "../plan/plan.js";
import { pruneLoaded } from "../prune/in-memory.js";
import { WorkerPool } from "../workers/main/pool.js";
import type { LoadResult } from "../workers/messages.js";
import { Engine } from "./engine.js";
import type { RunHooks } from "./generation.js";

/** A YAML file, an object of the same form, or a configuration that was read already. */
export type ConfigSource = string | PipelineInput | ConfigDocument;

export interface CreateEngineOptions extends RunHooks, PlanOptions {
  /** Assignments over the configuration, `path=value`, as `--set` takes them. */
  readonly sets?: readonly string[];
  /** What relative paths of an object configuration are relative to. Default: the current folder. */
  readonly folder?: string;
  /**
   * Files and folders whose code a configuration file may name by path, besides its own folder and the current one. An object of a program may name any
   * path. Relative ones start from the current folder.
   */
  readonly allowPlugins?: readonly string[];
  /** Takes remarks for a person, e.g. where pruned weights are kept. */
  onNotice?(text: string): void;
}

/**
 * Resolves a configuration without reading weights, in a worker of its own: planning runs code of plugins. Errors: `ERR_CONFIG_*`, `ERR_OPTION_*`, `ERR_PLAN_CONFLICT`, `ERR_PLUGIN_*`, `ERR_MODEL_*`, `ERR_KERNEL_UNSUPPORTED`; an aborted signal rejects with its reason.
 */
export async function createPlan(source: ConfigSource, options: CreateEngineOptions = {}): Promise<Plan> {
  const config = documentOf(source, options);
  const pool = new WorkerPool(1, config.value.limits);
  try {
    return await planIn(pool, config, options);
  } finally {
    await pool.close();
  }
}

/** {@link createPlan} in a pool that goes on to run the plan. */
export function planIn(pool: WorkerPool, config: ConfigDocument, options: CreateEngineOptions): Promise<Plan> {
  const { allowPlugins = [], alsoLoad = [], signal } = options;
  const { placed, folder, file } = config;
  const source = { placed, folder, ...(file !== undefined && { file }) };
  return pool.run<Plan>({ type: "plan", config: source, allowPlugins, alsoLoad }, signal && { signal });
}

/**
 * Plans, starts the workers, loads the weights (once, in shared memory) and, unless there is a prune step, runs the sparsifiers over them. Close the engine when done, or declare it with `await using`.
 *
 * @example
 * const engine = await createEngine({ model: "models/winnow-16m-32k", prefill: { masker: "minference" } });
 * for await (const token of engine.generate("Once upon a time")) process.stdout.write(token.text);
 * await engine.close();
 */
export async function createEngine(source: ConfigSource, options: CreateEngineOptions = {}): Promise<Engine> {
  const config = documentOf(source, options);
  const pool = new WorkerPool(config.value.workers, config.value.limits);
  try {
    const plan = await planIn(pool, config, options);
    const loaded = await pool.run<LoadResult>(
      { type: "load", plan },
      {
        ...(options.signal && { signal: options.signal }),
        onEvent: (event) => event.event === "progress" && options.onProgress?.(event.share, event.label),
      },
    );
    const ready = prunesLater(config) ? loaded : await pruneLoaded(pool, plan, loaded, options);
    await openWorkers(pool, plan, ready, options.signal);
    return new Engine(config, plan, pool, ready);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** A prune step runs the sparsifiers when its turn comes; until then the model is as it is. */
function prunesLater({ value }: ConfigDocument): boolean {
  return value.steps.some((step) => step.prune !== undefined);
}

/** All workers are idle, so that as many tasks reach each of them once. */
async function openWorkers(
  pool: WorkerPool,
  plan: Plan,
  { model }: LoadResult,
  signal: AbortSignal | undefined,
): Promise<void> {
  const open = { type: "open" as const, context: { plan, model } };
  await Promise.all(Array.from({ length: plan.workers }, () => pool.run(open, signal && { signal })));
}

/** The configuration that a source stands for. */
export function documentOf(source: ConfigSource, { sets, folder }: CreateEngineOptions): ConfigDocument {
  if (typeof source === "string") return readConfig(source, sets);
  if (source instanceof ConfigDocument) return source;
  return configFromObject(source, { ...(folder !== undefined && { folder }), ...(sets && { sets }) });
}
