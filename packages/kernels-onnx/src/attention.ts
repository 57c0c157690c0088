import type { AttentionCost, HeadTensor, PrefillAttention } from "@winnow/core";
import { WinnowError } from "@winnow/core";
import { groupQueryAttention } from "./graph-parts.js";
import { OnnxGraph } from "./onnx-model.js";
import { checkThreads, loadOnnxRuntime } from "./onnx-runtime.js";
import { LazySessions } from "./sessions.js";

export interface OnnxAttention {
  /**
   * Dense causal softmax attention in float32 by ONNX Runtime's GroupQueryAttention: `out[i] = sum_{j <= i} softmax_j(scale q_i . k_j) v_j`.
   * Arguments as in `PrefillAttention`; any strides. O(h * n^2 * d), plus one copy of q, k, v and out.
   *
   * Throws `ERR_KERNEL_UNSUPPORTED` for masks other than dense, bf16 keys or values, and `logSumExp`; `ERR_OPERATION_ARGUMENT` for sizes that do not fit;
   * `ERR_CANCELLED` if `cancel` is set before the run (a run that has begun cannot be stopped).
   *
   * The kernel does not report its work. `cellsComputed` is therefore the whole square `h * n * n`, an upper bound.
   */
  prefillAttention(task: PrefillAttention): Promise<AttentionCost>;
  close(): Promise<void>;
}

interface AttentionShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
}

/** @param options.threads Threads of each operation, the calling one included. */
export function createOnnxAttention(options: { readonly threads: number }): OnnxAttention {
  checkThreads(options.threads);
  const sessions = new LazySessions<AttentionShape>({ threads: options.threads, spinning: false });
  const shapes = new Map<string, AttentionShape>();

  /** One session per shape and scale: both are attributes of the operator. */
  function shapeOf({ q, k, scale }: PrefillAttention): AttentionShape {
    const shape = { queryHeads: q.heads, kvHeads: k.heads, headDim: q.headDim, scale };
    const id = Object.values(shape).join();
    const known = shapes.get(id);
    if (known) return known;
    shapes.set(id, shape);
    sessions.add(shape, () => attentionGraph(shape));
    return shape;
  }

  return {
    async prefillAttention(task) {
      checkSupported(task);
      checkSizes(task);
      const session = await sessions.get(shapeOf(task));
      const { Tensor } = await loadOnnxRuntime();
      const { q, k, v, out, cancel } = task;
      if (cancel && Atomics.load(cancel, 0) !== 0) {
        throw new WinnowError("ERR_CANCELLED", "Attention was stopped before it began, because the caller asked to.");
      }
      const tensor = (x: HeadTensor) => new Tensor("float32", packTokensFirst(x), [1, x.length, x.heads * x.headDim]);
      const empty = new Tensor("float32", new Float32Array(0), [1, k.heads, 0, k.headDim]);
      const results = await session.run(
        {
          ...{ q: tensor(q), k: tensor(k), v: tensor(v), pastKey: empty, pastValue: empty },
          lastIndex: new Tensor("int32", Int32Array.of(q.length - 1), [1]),
          totalLength: new Tensor("int32", Int32Array.of(q.length), [1]),
        },
        ["y"],
      );
      unpackTokensFirst(results.y.data as Float32Array, out);
      return { cellsComputed: q.heads * q.length ** 2, bytesRead: 8 * k.heads * k.length * k.headDim };
    },
    close: () => sessions.close(),
  };
}

function attentionGraph(shape: AttentionShape): OnnxGraph {
  const { queryHeads, kvHeads, headDim } = shape;
  const graph = new OnnxGraph("prefill-attention");
  const past = [1, kvHeads, "past", headDim];
  const inputs = {
    q: graph.input("q", "float32", [1, "n", queryHeads * headDim]),
    k: graph.input("k", "float32", [1, "n", kvHeads * headDim]),
    v: graph.input("v", "float32", [1, "n", kvHeads * headDim]),
    pastKey: graph.input("pastKey", "float32", past),
    pastValue: graph.input("pastValue", "float32", past),
    lastIndex: graph.input("lastIndex", "int32", [1]),
    totalLength: graph.input("totalLength", "int32", [1]),
  };
  groupQueryAttention(graph, { output: "y", presentKey: "presentKey", presentValue: "presentValue" }, inputs, shape);
  graph.output("y", "float32", [1, "n", queryHeads * headDim]);
  return graph;
}

/** `[n, h * d]`, contiguous, in private memory. */
function packTokensFirst(x: HeadTensor): Float32Array {
  const packed = new Float32Array(x.length * x.heads * x.headDim);
  forEachRow(x, (start, packedStart) => packed.set(x.data.subarray(start, start + x.headDim), packedStart));
  return packed;
}

function unpackTokensFirst(packed: Float32Array, x: HeadTensor): void {
  forEachRow(x, (start, packedStart) => x.data.set(packed.subarray(packedStart, packedStart + x.headDim), start));
}

function forEachRow(x: HeadTensor, visit: (start: number, packedStart: number) => void): void {
  let packedStart = 0;
  for (let token = 0; token < x.length; token++) {
    for (let head = 0; head < x.heads; head++, packedStart += x.headDim) {
      visit(x.offset + head * x.headStride + token * x.tokenStride, packedStart);
    }
  }
}

function checkSupported({ q, k, v, out, masks, logSumExp }: PrefillAttention): void {
  const other = masks.find((mask) => mask.form !== "dense");
  const reason = other
    ? `a mask of form "${other.form}"`
    : [q, k, v, out].some((x) => x.dtype !== "f32")
      ? "bf16 operands"
      : logSumExp && "logSumExp";
  if (!reason) return;
  throw new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot run prefillAttention through ONNX Runtime with ${reason}: it takes dense masks and f32 only and gives no logSumExp. Use another kernel package.`,
  );
}

function checkSizes({ q, k, v, out, scale, masks }: PrefillAttention): void {
  const fits =
    q.length >= 1 &&
    k.heads >= 1 &&
    q.heads % k.heads === 0 &&
    [k, v, out].every((x) => x.length === q.length && x.headDim === q.headDim) &&
    v.heads === k.heads &&
    out.heads === q.heads &&
    [q, k, v, out].every(holdsItself) &&
    Number.isFinite(scale) &&
    scale !== 0 && // the operator takes 0 for "1 / sqrt(d)"
    (masks.length === 1 || masks.length === q.heads);
  if (fits) return;
  const sizes = Object.entries({ q, k, v, out }).map(
    ([name, x]) => `${name} [${x.heads}, ${x.length}, ${x.headDim}] in ${x.data.length} elements`,
  );
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot run prefillAttention: expected q and out [h, n, d], k and v [hKv, n, d] with h a multiple of hKv, n >= 1, a finite scale other than 0, and 1 or h masks; got ${sizes.join(", ")}, scale ${scale}, ${masks.length} masks. Pass operands of one layer.`,
  );
}

function holdsItself(x: HeadTensor): boolean {
  const last = x.offset + (x.heads - 1) * x.headStride + (x.length - 1) * x.tokenStride + x.headDim;
  return x.heads >= 1 && x.headDim >= 1 && x.offset >= 0 && last <= x.data.length;
}
