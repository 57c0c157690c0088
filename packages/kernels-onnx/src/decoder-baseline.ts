import { WinnowError } from "@winnow/core";
import { type BaselineConfig, type BaselineModel, cacheName, decoderGraph } from "./decoder-graph.js";
import { checkThreads, createSession, loadOnnxRuntime, type OnnxRuntime, type Tensor } from "./onnx-runtime.js";
import { closedError } from "./sessions.js";

export interface BaselineOptions {
  /** Threads of each operation, the calling one included. */
  readonly threads: number;
  /** 8-bit weights (groups of 32, symmetric) and activations quantised at run time; the KV cache stays float32. */
  readonly int8?: boolean;
}

export interface BaselineResult {
  /** `[vocab]`: logits of the token after the last one given. */
  readonly logits: Float32Array;
  /** Wall time of the run, without making tensors. */
  readonly seconds: number;
}

/**
 * The same model run wholly through ONNX Runtime, the way its own exporter lays a decoder out: the dense baseline that sparse runs are compared with,
 * and an independent check of their logits.
 *
 * Calls run one after the other in the order made. Prompts that are empty, leave the vocabulary or exceed the context throw `ERR_PROMPT`;
 * calls after `close` throw `ERR_ENGINE_CLOSED`.
 */
export interface OnnxBaseline {
  /** Starts a new sequence with these ids. O(n^2). */
  prefill(ids: ArrayLike<number>): Promise<BaselineResult>;
  /** Appends one id. O(length): ONNX Runtime reads the cache, and copies it out, in every step. */
  step(id: number): Promise<BaselineResult>;
  /** Drops the cache. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Builds the graph and its session; weights are copied into it. Blocks the thread while it builds and while it runs: not for a main thread.
 * Throws `ERR_KERNEL_UNSUPPORTED` if onnxruntime-node does not load or refuses the graph, `ERR_OPERATION_ARGUMENT` if a tensor has another size than `config` says.
 */
export async function createOnnxBaseline(model: BaselineModel, options: BaselineOptions): Promise<OnnxBaseline> {
  checkThreads(options.threads);
  const { config } = model;
  const runtime = await loadOnnxRuntime();
  const session = await createSession(decoderGraph(model, options.int8 ? "int8" : "f32").encode(), {
    threads: options.threads,
    spinning: true,
  });
  let cache = emptyCache(runtime, config);
  let length = 0;
  let closed = false;
  let queue: Promise<unknown> = Promise.resolve();

  /** After all earlier calls, whether they failed or not. */
  function enqueue<T>(task: () => T | Promise<T>): Promise<T> {
    const result = queue.then(() => {
      if (closed) throw closedError();
      return task();
    });
    queue = result.catch(() => undefined);
    return result;
  }

  function clear() {
    cache = emptyCache(runtime, config);
    length = 0;
  }

  async function append(ids: ArrayLike<number>): Promise<BaselineResult> {
    const total = length + ids.length;
    const { Tensor } = runtime;
    const feeds = {
      ...cache,
      ids: new Tensor(
        "int64",
        BigInt64Array.from(ids, (id) => BigInt(id)),
        [1, ids.length],
      ),
      lastIndex: new Tensor("int32", Int32Array.of(total - 1), [1]),
      totalLength: new Tensor("int32", Int32Array.of(total), [1]),
    };
    const start = performance.now();
    const results = await session.run(feeds);
    const seconds = (performance.now() - start) / 1000;
    cache = nextCache(config, results);
    length = total;
    return { logits: results.logits.data as Float32Array, seconds };
  }

  return {
    prefill: (ids) =>
      enqueue(() => {
        checkPrompt(ids, 0, config);
        clear();
        return append(ids);
      }),
    step: (id) =>
      enqueue(() => {
        checkPrompt([id], length, config);
        return append([id]);
      }),
    reset: () => enqueue(clear),
    close: () =>
      enqueue(async () => {
        closed = true;
        await session.release();
      }),
  };
}

type Cache = Record<string, Tensor>;

function emptyCache({ Tensor }: OnnxRuntime, config: BaselineConfig): Cache {
  const dims = [1, config.kvHeads, 0, config.headDim];
  return Object.fromEntries(
    cacheKeys(config).map(({ past }) => [past, new Tensor("float32", new Float32Array(0), dims)]),
  );
}

function nextCache(config: BaselineConfig, results: Readonly<Record<string, Tensor>>): Cache {
  return Object.fromEntries(cacheKeys(config).map(({ past, present }) => [past, results[present]]));
}

function cacheKeys({ layers }: BaselineConfig) {
  return Array.from({ length: layers }, (_, layer) => layer).flatMap((layer) =>
    (["key", "value"] as const).map((part) => ({
      past: cacheName("past", layer, part),
      present: cacheName("present", layer, part),
    })),
  );
}

function checkPrompt(ids: ArrayLike<number>, cached: number, { vocabSize, contextLength }: BaselineConfig): void {
  const foreign = Array.from(ids).find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  const room = contextLength - cached;
  if (ids.length >= 1 && ids.length <= room && foreign === undefined) return;
  const given = foreign === undefined ? `${ids.length} ids` : `id ${foreign}`;
  throw new WinnowError(
    "ERR_PROMPT",
    `Cannot run the prompt: expected 1..${room} ids in 0..${vocabSize - 1} (context ${contextLength}, ${cached} cached), got ${given}. Shorten the prompt, or encode it with this model's tokenizer.`,
  );
}
