import type { ElementScorer, HeadTensor } from "@winnow/core";
import type { MustafarOptions } from "./options.js";

/**
 * Mustafar (arXiv 2505.22913, Section 3): each key (after RoPE) and each value is pruned on its own, to the elements of the largest magnitude. Tokens are
 * pruned as they leave the recent ones, in groups; nothing is dropped. Cost: O(hKv * d) per token, and a top-k of d numbers per row.
 */
export function mustafar({ keySparsity, valueSparsity, recentTokens, groupTokens }: MustafarOptions): ElementScorer {
  return {
    recentTokens,
    groupTokens,
    kept: (d) => ({ k: elementsKept(d, keySparsity), v: elementsKept(d, valueSparsity) }),
    score: (context, part) => magnitudes(context[part]),
  };
}

/** The threshold is the m-th smallest magnitude, m = max(1, floor(s d)), and elements at the threshold stay: d - m + 1 of them without ties. */
export function elementsKept(d: number, sparsity: number): number {
  return d - Math.max(1, Math.floor(sparsity * d)) + 1;
}

/** |x| `[heads, n, d]`, contiguous. */
function magnitudes(x: HeadTensor): Float32Array {
  const { heads, length, headDim, data } = x;
  const out = new Float32Array(heads * length * headDim);
  // bf16 is the upper half of a float32.
  const bits = new Uint32Array(out.buffer);
  for (let head = 0, at = 0; head < heads; head++)
    for (let token = 0; token < length; token++) {
      const place = x.offset + head * x.headStride + token * x.tokenStride;
      if (x.dtype === "bf16") for (let c = 0; c < headDim; c++, at++) bits[at] = (data[place + c] & 0x7fff) << 16;
      else for (let c = 0; c < headDim; c++, at++) out[at] = Math.abs(data[place + c]);
    }
  return out;
}
