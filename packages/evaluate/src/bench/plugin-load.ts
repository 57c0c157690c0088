import { Worker } from "node:worker_threads";
import { type ModelShape, WinnowError } from "@winnow/core";
import type { InstalledPlugin } from "@winnow/runtime";
import { type Rounds, roundOrder, type Spread, spreadOf } from "./measure.js";
import type { PluginLoad, PluginLoadJob } from "./plugin-load-worker.js";

export interface PluginLoadRow {
  readonly id: string;
  readonly kind: string;
  /** Milliseconds in a fresh worker that has loaded `@winnow/core` before. */
  readonly loadMs: Spread;
  /** Why the plugin was loaded but not created with its defaults; absent: it was. */
  readonly notCreated?: string;
}

/** Loads every plugin in a worker of its own in every round and makes it for a model of this shape. Throws `ERR_PLUGIN_FAILED` naming a plugin that cannot be loaded. */
export async function measurePluginLoads(
  plugins: readonly InstalledPlugin[],
  shape: ModelShape,
  { repeat, warmUp, signal, onProgress }: Rounds,
): Promise<PluginLoadRow[]> {
  const loads = new Map<InstalledPlugin, PluginLoad[]>(plugins.map((plugin) => [plugin, []]));
  const rounds = warmUp + repeat;
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    for (const plugin of roundOrder(plugins, round)) {
      onProgress?.(done++ / (rounds * plugins.length), plugin.id);
      signal?.throwIfAborted();
      const load = await loadInWorker({ id: plugin.id, url: plugin.url, shape }, signal);
      if (round >= warmUp) loads.get(plugin)!.push(load);
    }
  }
  return [...loads].map(([{ id, kind }, measured]) => {
    const { notCreated } = measured[0];
    const loadMs = spreadOf(measured.map(({ milliseconds }) => milliseconds));
    return { id, kind, loadMs, ...(notCreated !== undefined && { notCreated }) };
  });
}

async function loadInWorker(job: PluginLoadJob, signal: AbortSignal | undefined): Promise<PluginLoad> {
  const worker = new Worker(new URL("./plugin-load-worker.js", import.meta.url), { workerData: job });
  const stop = () => worker.terminate();
  signal?.addEventListener("abort", stop);
  try {
    return await answerOf(worker);
  } catch (cause) {
    signal?.throwIfAborted();
    const detail = (cause instanceof Error ? cause.message : String(cause)).replace(/\.?$/, ".");
    throw new WinnowError(
      "ERR_PLUGIN_FAILED",
      `Cannot measure plugin "${job.id}": ${detail} Look at it with winnow plugins check ${job.id}, or measure others with --plugins.`,
      { cause, plugin: job.id },
    );
  } finally {
    signal?.removeEventListener("abort", stop);
    await worker.terminate();
  }
}

function answerOf(worker: Worker): Promise<PluginLoad> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (status) => reject(new Error(`it ended its worker with status ${status}`)));
  });
}
