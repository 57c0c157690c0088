import type { AttentionCost, DecodeAttention } from "@winnow/core";
import { check, checkArray, checkHeads, checkLists } from "./check.js";
import { headRows } from "./head-rows.js";
import { bytesPerCell, SoftmaxRow } from "./softmax-row.js";

const OPERATION = "decodeAttention";

/** One query per head over its tokens: O(tokens read * d). */
export function decodeAttention(task: DecodeAttention): AttentionCost {
  checkTask(task);
  const { q, k, v, out, tokens, lengths, scores, logSumExp } = task;
  const group = q.heads / k.heads;
  const allTokens = Int32Array.from({ length: k.length }, (_, token) => token);
  let cellsComputed = 0;
  for (let head = 0; head < q.heads; head++) {
    const kvHead = Math.floor(head / group);
    const keys = tokens
      ? tokens.indices.subarray(tokens.offsets[head], tokens.offsets[head + 1])
      : allTokens.subarray(0, lengths ? lengths[kvHead] : k.length);
    const [keyRows, valueRows] = [headRows(k, kvHead, keys), headRows(v, kvHead, keys)];
    const softmax = new SoftmaxRow(keyRows, valueRows, k.headDim, task.scale, k.dtype === "bf16");
    const lse = softmax.attend(q, out, head, 0, allTokens, keys.length);
    if (scores) scores.set(softmax.scores.subarray(0, keys.length), head * k.length);
    if (logSumExp) logSumExp[head] = lse;
    cellsComputed += keys.length;
  }
  return { cellsComputed, bytesRead: cellsComputed * bytesPerCell(k) };
}

/** What attention of one query per head needs, whatever it reads. */
export function checkDecodeTask(
  operation: string,
  { q, k, v, out, scale, logSumExp }: Pick<DecodeAttention, "q" | "k" | "v" | "out" | "scale" | "logSumExp">,
): void {
  checkHeads(operation, "q", q, { dtype: "f32", length: 1 });
  checkHeads(operation, "k", k, { headDim: q.headDim });
  checkHeads(operation, "v", v, { headDim: q.headDim, length: k.length, heads: k.heads, dtype: k.dtype });
  checkHeads(operation, "out", out, { dtype: "f32", heads: q.heads, length: 1, headDim: q.headDim });
  check(k.length > 0, operation, "k.length", "be at least 1", k.length);
  check(q.heads % k.heads === 0, operation, "q.heads", `be a multiple of k.heads (${k.heads})`, q.heads);
  check(Number.isFinite(scale), operation, "scale", "be a finite number", scale);
  if (logSumExp) checkArray(operation, "logSumExp", logSumExp, Float32Array, q.heads);
}

function checkTask(task: DecodeAttention): void {
  checkDecodeTask(OPERATION, task);
  const { q, k, tokens, lengths, scores } = task;
  if (lengths) checkLengths(lengths, k.heads, k.length);
  if (tokens) {
    const group = q.heads / k.heads;
    const cached = (head: number) => (lengths ? lengths[Math.floor(head / group)] : k.length);
    checkLists(OPERATION, tokens.indices, tokens.offsets, q.heads, cached);
    for (let head = 0; head < q.heads; head++) {
      const count = tokens.offsets[head + 1] - tokens.offsets[head];
      check(count > 0, OPERATION, `the token list of head ${head}`, "not be empty", count);
    }
  }
  check(!(tokens && scores), OPERATION, "scores", "be absent where tokens are given", scores);
  if (scores) checkArray(OPERATION, "scores", scores, Float32Array, q.heads * k.length);
}

function checkLengths(lengths: Int32Array, kvHeads: number, capacity: number): void {
  checkArray(OPERATION, "lengths", lengths, Int32Array, kvHeads);
  for (let g = 0; g < kvHeads; g++) {
    const inside = lengths[g] >= 1 && lengths[g] <= capacity;
    check(inside, OPERATION, `lengths[${g}]`, `be in 1..${capacity}`, lengths[g]);
  }
}
