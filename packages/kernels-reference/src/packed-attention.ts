import type { AttentionCost, HeadTensor, PackedAttention, PackedRows } from "@winnow/core";
import { check } from "./check.js";
import { checkDecodeTask } from "./decode-attention.js";
import { headRows } from "./head-rows.js";
import { bytesPerPackedRow, checkPacked, packedHeadRows } from "./packed-rows.js";
import { bytesPerCell, SoftmaxRow } from "./softmax-row.js";

const OPERATION = "packedAttention";

/** Expands the packed rows of each KV head and attends to them and to the tokens that follow. */
export function packedAttention(task: PackedAttention): AttentionCost {
  checkTask(task);
  const { q, packedK, packedV, k, v, out, logSumExp } = task;
  const group = q.heads / k.heads;
  const tokens = packedK.length + k.length;
  const all = Int32Array.from({ length: tokens }, (_, token) => token);
  for (let kvHead = 0; kvHead < k.heads; kvHead++) {
    const [keys, values] = [allRows(packedK, k, kvHead), allRows(packedV, v, kvHead)];
    const softmax = new SoftmaxRow(keys, values, k.headDim, task.scale, k.dtype === "bf16");
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
      const lse = softmax.attend(q, out, head, 0, all, tokens);
      if (logSumExp) logSumExp[head] = lse;
    }
  }
  const packedBytes = packedK.length * (bytesPerPackedRow(packedK) + bytesPerPackedRow(packedV));
  return {
    cellsComputed: q.heads * tokens,
    bytesRead: q.heads * (packedBytes + k.length * bytesPerCell(k)),
  };
}

function allRows(packed: PackedRows, x: HeadTensor, head: number): Float32Array {
  const rows = new Float32Array((packed.length + x.length) * x.headDim);
  rows.set(packedHeadRows(packed, head));
  rows.set(headRows(x, head), packed.length * x.headDim);
  return rows;
}

function checkTask(task: PackedAttention): void {
  checkDecodeTask(OPERATION, task);
  const { packedK, packedV, k } = task;
  const fields = { heads: k.heads, headDim: k.headDim, dtype: k.dtype };
  checkPacked(OPERATION, "packedK", packedK, fields);
  checkPacked(OPERATION, "packedV", packedV, { ...fields, length: packedK.length });
  check(packedK.length > 0, OPERATION, "packedK.length", "be at least 1", packedK.length);
}
