import {
  type AttentionCost,
  type Mask,
  type PrefillAttention,
  QUERY_BLOCK,
  validateMask,
  WinnowError,
} from "@winnow/core";
import { check, checkArray, checkHeads } from "./check.js";
import { headRows } from "./head-rows.js";
import { rowKeysOf } from "./row-keys.js";
import { bytesPerCell, SoftmaxRow } from "./softmax-row.js";

const OPERATION = "prefillAttention";

/** Row by row over the kept keys only: O(kept pairs * d). */
export function prefillAttention(task: PrefillAttention): AttentionCost {
  checkTask(task);
  const { q, k, v, out, masks, logSumExp, cancel } = task;
  const n = q.length;
  const group = q.heads / k.heads;
  const keys = new Int32Array(n);
  let cellsComputed = 0;
  for (let kvHead = 0; kvHead < k.heads; kvHead++) {
    const softmax = new SoftmaxRow(headRows(k, kvHead), headRows(v, kvHead), k.headDim, task.scale, k.dtype === "bf16");
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
      const rowKeys = rowKeysOf(masks[masks.length === 1 ? 0 : head], n);
      for (let i = 0; i < n; i++) {
        if (i % QUERY_BLOCK === 0) stopIfCancelled(cancel);
        const count = rowKeys(i, keys);
        const lse = softmax.attend(q, out, head, i, keys, count);
        if (logSumExp) logSumExp[head * n + i] = lse;
        cellsComputed += count;
      }
    }
  }
  return { cellsComputed, bytesRead: cellsComputed * bytesPerCell(k) };
}

function checkTask({ q, k, v, out, scale, masks, logSumExp }: PrefillAttention): void {
  checkHeads(OPERATION, "q", q, { dtype: "f32" });
  checkHeads(OPERATION, "k", k, { length: q.length, headDim: q.headDim });
  checkHeads(OPERATION, "v", v, { length: q.length, headDim: q.headDim, heads: k.heads, dtype: k.dtype });
  checkHeads(OPERATION, "out", out, { dtype: "f32", heads: q.heads, length: q.length, headDim: q.headDim });
  check(q.length > 0, OPERATION, "q.length", "be at least 1", q.length);
  check(q.heads % k.heads === 0, OPERATION, "q.heads", `be a multiple of k.heads (${k.heads})`, q.heads);
  check(Number.isFinite(scale), OPERATION, "scale", "be a finite number", scale);
  const fits = masks.length === 1 || masks.length === q.heads;
  check(fits, OPERATION, "masks.length", `be 1 or ${q.heads}`, masks.length);
  masks.forEach((mask, head) => {
    checkMask(mask, head, q.length);
  });
  if (logSumExp) checkArray(OPERATION, "logSumExp", logSumExp, Float32Array, q.heads * q.length);
}

function checkMask(mask: Mask, head: number, n: number): void {
  try {
    validateMask(mask, n);
  } catch (cause) {
    const reason = cause instanceof WinnowError ? cause.message : String(cause);
    throw new WinnowError("ERR_OPERATION_ARGUMENT", `Cannot run ${OPERATION}: masks[${head}]: ${reason}`, { cause });
  }
}

function stopIfCancelled(cancel: Int32Array | undefined): void {
  if (cancel && Atomics.load(cancel, 0) !== 0) {
    throw new WinnowError("ERR_CANCELLED", `Stopped ${OPERATION}: the caller asked to stop.`);
  }
}
