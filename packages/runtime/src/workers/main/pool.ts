import { setMaxListeners } from "node:events";
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { WinnowError } from "@winnow/core";
import { Piscina } from "piscina";
import type { WorkerLimits } from "../../config/schema.js";
import { createCallBoard, type RunningCall, runningCalls } from "../../registry/plugin-calls.js";
import type { Task, TaskOutcome, WorkerEvent } from "../messages.js";
import { type CallLimits, type CallWatch, type ExpiredCall, watchCalls } from "./call-watch.js";

/** A task without what the pool adds. */
export type TaskBody<T extends Task = Task> = T extends Task ? Omit<T, "cancel" | "calls" | "events"> : never;

export interface TaskHandlers {
  readonly signal?: AbortSignal;
  onEvent?(event: WorkerEvent): void;
}

/** After this long a cancelled task's worker is ended; kernels look at the flag far more often, plugin code may not. */
const CANCEL_GRACE_MS = 200;

/**
 * Warm workers of one engine. Tasks are plain data; progress and tokens arrive as events while a task runs.
 * A worker that dies fails its task with `ERR_WORKER_DIED` and is replaced; if a plugin was running in it, the error names the plugin, and if that
 * took too long or too much memory, the code is `ERR_PLUGIN_FAILED`.
 */
export class WorkerPool {
  readonly #piscina: Piscina<Task, TaskOutcome<unknown>>;
  /** Cancel flags of the tasks that were handed in and have not ended. */
  readonly #running = new Map<Int32Array, Promise<unknown>>();
  #closed = false;

  constructor(
    workers: number,
    private readonly limits: WorkerLimits,
  ) {
    this.#piscina = new Piscina({
      filename: new URL("../worker/entry.js", import.meta.url).href,
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Workers wait in their event loop, not in Atomics.wait, which would never let them free the closed event ports of tasks.
      atomics: "disabled",
      resourceLimits: { maxOldGenerationSizeMb: limits.workerMemoryMegabytes },
    });
    // A worker that dies without a task is replaced by the pool; there is nobody to tell.
    this.#piscina.on("error", () => {});
  }

  async run<Result>(body: TaskBody, { signal, onEvent }: TaskHandlers = {}): Promise<Result> {
    if (this.#closed) throw new WinnowError("ERR_ENGINE_CLOSED", "The engine is closed. Create a new one.");
    signal?.throwIfAborted();
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    const kill = new AbortController();
    const calls = createCallBoard();
    const watch = watchCalls(calls, this.#callLimits(body), () => kill.abort());
    let timer: NodeJS.Timeout | undefined;
    const abort = () => {
      Atomics.store(cancel, 0, 1);
      timer ??= setTimeout(() => kill.abort(), CANCEL_GRACE_MS);
    };
    if (signal) {
      // One signal stops as many tasks as there are matrices to prune; that is no leak.
      setMaxListeners(0, signal);
      signal.addEventListener("abort", abort, { once: true });
    }
    let failure: { readonly error: unknown } | undefined;
    const deliver = (event: WorkerEvent) => {
      if (failure) return;
      try {
        onEvent?.(event);
      } catch (error) {
        failure = { error };
        abort();
      }
    };
    if (onEvent) port1.on("message", deliver);
    try {
      const task = { ...body, cancel, calls, events: port2 } as Task;
      const running = this.#piscina.run(task, { transferList: [port2], signal: kill.signal });
      this.#running.set(cancel, running);
      const outcome = await running;
      if (onEvent) deliverWaiting(port1, deliver);
      if (failure) throw failure.error;
      if ("error" in outcome) throw WinnowError.fromPlain(outcome.error);
      return outcome.ok as Result;
    } catch (error) {
      // A callback of the caller that throws ends the task; its error is the one to see.
      throw failure ? failure.error : this.#explain(error, signal, calls, watch);
    } finally {
      this.#running.delete(cancel);
      clearTimeout(timer);
      watch.stop();
      signal?.removeEventListener("abort", abort);
      port1.close();
    }
  }

  /**
   * Ends all workers; running tasks fail with `ERR_ENGINE_CLOSED`. They are cancelled first: ending a thread amid native code is the last resort.
   */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#running.keys()) Atomics.store(cancel, 0, 1);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise((resolve) => {
      timer = setTimeout(resolve, CANCEL_GRACE_MS);
    });
    await Promise.race([Promise.allSettled(this.#running.values()), grace]);
    clearTimeout(timer);
    await this.#piscina.destroy();
  }

  #explain(error: unknown, signal: AbortSignal | undefined, calls: SharedArrayBuffer, watch: CallWatch): unknown {
    if (signal?.aborted) return signal.reason;
    if (watch.expired) return tookTooMuch(watch.expired);
    const isOwn = error instanceof WinnowError;
    if (isOwn && !(this.#closed && error.code === "ERR_CANCELLED")) return error;
    if (this.#closed) return new WinnowError("ERR_ENGINE_CLOSED", "The engine was closed while this task ran.");
    const running = runningCalls(calls).at(-1);
    const isMemory = (error as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY";
    if (running && isMemory) return this.#outOfObjects(running, error);
    const detail = error instanceof Error ? error.message : String(error);
    const where = running ? `plugin "${running.plugin}" was in ${running.call}` : "it ran a task";
    return new WinnowError(
      "ERR_WORKER_DIED",
      `A worker ended while ${where}: ${detail}. Other sequences go on; run this one again.`,
      { cause: error, ...(running && { plugin: running.plugin }) },
    );
  }

  #callLimits({ type }: TaskBody): CallLimits {
    const optionOf = (call: string) => {
      if (type === "prune") return "sparsifySeconds";
      return type === "tune" && call === "tune" ? "tuneSeconds" : "pluginCallSeconds";
    };
    return {
      seconds: ({ call }) => ({ option: optionOf(call), value: this.limits[optionOf(call)] }),
      growth: { option: "pluginCallMegabytes", value: this.limits.pluginCallMegabytes },
    };
  }

  #outOfObjects({ plugin, call }: RunningCall, cause: unknown): WinnowError {
    return new WinnowError(
      "ERR_PLUGIN_FAILED",
      `Plugin "${plugin}" failed in ${call}: its worker ran out of memory (limits.workerMemoryMegabytes: ${this.limits.workerMemoryMegabytes}) and was ended. Other sequences go on. Raise the limit if the plugin needs the memory.`,
      { plugin, cause },
    );
  }
}

function tookTooMuch({ plugin, call, took, option, limit }: ExpiredCall): WinnowError {
  const [problem, need] =
    took === "time"
      ? [`it ran for more than ${limit} seconds`, "the time"]
      : [`the memory of the process grew by more than ${limit} megabytes while it ran`, "the memory"];
  return new WinnowError(
    "ERR_PLUGIN_FAILED",
    `Plugin "${plugin}" failed in ${call}: ${problem}, and its worker was ended. Other sequences go on. Set limits.${option} higher (0: no limit) if it needs ${need}.`,
    { plugin },
  );
}

/** Events that were sent before the outcome but have not been dispatched yet. */
function deliverWaiting(port: MessagePort, onEvent: (event: WorkerEvent) => void): void {
  for (let waiting = receiveMessageOnPort(port); waiting; waiting = receiveMessageOnPort(port))
    onEvent(waiting.message);
}
