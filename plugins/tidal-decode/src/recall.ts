import type { AttentionInputs, TokenLists, TuneContext } from "@winnow/core";
import { selectTokens } from "./tidal-decode.js";

/**
 * What reading layer l with the list of an earlier layer s keeps, measured over prompts, steps and query heads.
 * Pair (s, l) stands at `s * layers + l`.
 */
export interface RecallTable {
  readonly layers: number;
  /** Mean share of the attention mass of layer l that lies on the list of layer s. */
  readonly recall: Float64Array;
  /** Bytes of K and V read from the cache: with the list of s, and densely. */
  readonly listBytes: Float64Array;
  readonly denseBytes: Float64Array;
  /** Steps measured; those with no more tokens than the budget say nothing and are left out. */
  readonly steps: number;
}

/** Measures every pair s < l in `steps` dense decode steps after each prompt. O(L^2 * h * budget * d + L * h * n * d) per step. */
export async function measureRecall(context: TuneContext, budget: number, steps: number): Promise<RecallTable> {
  const { layers } = context.model;
  const recall = new Float64Array(layers * layers);
  const listBytes = new Float64Array(layers * layers);
  const denseBytes = new Float64Array(layers);
  let measured = 0;

  for (const [index, prompt] of context.prompts.entries()) {
    let lists: TokenLists[] = [];
    await context.decode(prompt, steps, (step, layer, inputs) => {
      if (layer === 0)
        context.progress((index + step / steps) / context.prompts.length, "measuring recall of token lists");
      if (inputs.k.length <= budget) return;
      if (layer === 0) {
        lists = [];
        measured++;
      }
      const dense = readAll(context, inputs, budget);
      denseBytes[layer] += dense.bytes;
      for (let source = 0; source < layer; source++) {
        const listed = readList(context, inputs, lists[source]);
        recall[source * layers + layer] += meanShare(listed.logSumExp, dense.logSumExp);
        listBytes[source * layers + layer] += listed.bytes;
      }
      lists.push(dense.list);
    });
  }
  return { layers, recall: recall.map((sum) => sum / measured), listBytes, denseBytes, steps: measured };
}

function readAll(context: TuneContext, inputs: AttentionInputs, budget: number) {
  const { heads } = inputs.q;
  const { length } = inputs.k;
  const scores = new Float32Array(heads * length);
  const read = attend(context, inputs, { scores });
  const forced = { sinkTokens: 0, recentTokens: 0 };
  return { ...read, list: selectTokens(scores, heads, length, { budget, ...forced }, context.operations) };
}

function readList(context: TuneContext, inputs: AttentionInputs, tokens: TokenLists) {
  return attend(context, inputs, { tokens });
}

function attend(
  { operations, scale }: TuneContext,
  { q, k, v }: AttentionInputs,
  what: { tokens: TokenLists } | { scores: Float32Array },
): { logSumExp: Float32Array; bytes: number } {
  const logSumExp = new Float32Array(q.heads);
  const data = new Float32Array(q.heads * q.headDim);
  const out = { ...q, data, offset: 0, headStride: q.headDim, tokenStride: q.headDim };
  const { bytesRead } = operations.decodeAttention({ q, k, v, out, scale, logSumExp, ...what });
  return { logSumExp, bytes: bytesRead };
}

/** The softmax mass of a list is the ratio of two sums of exponentials: exp(lse_list - lse_dense); mean over heads. */
function meanShare(listed: Float32Array, dense: Float32Array): number {
  let sum = 0;
  // Rounding may put a full list a little above 1.
  for (let head = 0; head < dense.length; head++) sum += Math.min(1, Math.exp(listed[head] - dense[head]));
  return sum / dense.length;
}
