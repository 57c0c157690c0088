import { type AttentionOperations, type DecodeAttention, type PrefillAttention, WinnowError } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkFinite, checkHeads, checkInteger, checkOverlap } from "../check.js";
import { nativeMasks } from "./masks.js";

/** Widest head that the kernels keep in registers and scratch. */
const MOST_HEAD_DIM = 256;

export function attentionOperations(
  kernels: NativeKernels,
): Pick<AttentionOperations, "prefillAttention" | "decodeAttention"> {
  return {
    prefillAttention(task) {
      checkPrefill(task);
      const { q, k, v, out, scale, logSumExp, cancel } = task;
      const masks = nativeMasks(task.masks, q.heads, q.length);
      const { cancelled, ...cost } = kernels.prefillAttention({ q, k, v, out, scale, masks, logSumExp, cancel });
      if (cancelled)
        throw new WinnowError("ERR_CANCELLED", "prefillAttention was cancelled by its flag; its output is incomplete.");
      return cost;
    },

    decodeAttention(task) {
      checkDecode(task);
      const { q, k, v, out, scale, tokens, lengths, scores, logSumExp } = task;
      const { cellsComputed, bytesRead } = kernels.decodeAttention({
        q,
        k,
        v,
        out,
        scale,
        tokens,
        lengths,
        scores,
        logSumExp,
      });
      return { cellsComputed, bytesRead };
    },
  };
}

function checkPrefill(task: PrefillAttention): void {
  const operation = "prefillAttention";
  const { q, k, logSumExp, cancel } = task;
  checkOperands(operation, task);
  check(k.length === q.length, operation, "k.length", `be q.length (${q.length})`, k.length);
  if (logSumExp) checkArray(operation, "logSumExp", logSumExp, Float32Array, q.heads * q.length);
  if (!cancel) return;
  checkArray(operation, "cancel", cancel, Int32Array, 1);
  check(cancel.buffer instanceof SharedArrayBuffer, operation, "cancel", "lie on a SharedArrayBuffer", cancel);
}

function checkDecode(task: DecodeAttention): void {
  const operation = "decodeAttention";
  const { q, k, tokens, lengths, scores, logSumExp } = task;
  checkOperands(operation, task);
  check(q.length === 1, operation, "q.length", "be 1", q.length);
  if (lengths) checkLengths(operation, lengths, k.heads, k.length);
  if (tokens) {
    checkArray(operation, "tokens.indices", tokens.indices, Int32Array);
    checkArray(operation, "tokens.offsets", tokens.offsets, Int32Array, q.heads + 1);
    check(scores === undefined, operation, "scores", "be absent where tokens are given", scores);
  }
  if (scores) checkArray(operation, "scores", scores, Float32Array, q.heads * k.length);
  if (logSumExp) checkArray(operation, "logSumExp", logSumExp, Float32Array, q.heads);
}

/** What all kinds of attention share. */
export function checkOperands(
  operation: string,
  { q, k, v, out, scale }: Pick<DecodeAttention, "q" | "k" | "v" | "out" | "scale">,
): void {
  checkHeads(operation, "q", q, { dtype: "f32" });
  check(q.length > 0, operation, "q.length", "be at least 1", q.length);
  check(q.headDim <= MOST_HEAD_DIM, operation, "q.headDim", `be at most ${MOST_HEAD_DIM}`, q.headDim);
  checkHeads(operation, "k", k, { headDim: q.headDim });
  check(k.length > 0, operation, "k.length", "be at least 1", k.length);
  check(q.heads % k.heads === 0, operation, "q.heads", `be a multiple of k.heads (${k.heads})`, q.heads);
  checkHeads(operation, "v", v, { dtype: k.dtype, heads: k.heads, length: k.length, headDim: q.headDim });
  checkHeads(operation, "out", out, { dtype: "f32", heads: q.heads, length: q.length, headDim: q.headDim });
  checkOverlap(operation, "out", out, q);
  checkFinite(operation, "scale", scale);
}

function checkLengths(operation: string, lengths: Int32Array, kvHeads: number, cached: number): void {
  checkArray(operation, "lengths", lengths, Int32Array, kvHeads);
  for (let g = 0; g < kvHeads; g++) checkInteger(operation, `lengths[${g}]`, lengths[g], 1, cached);
}
