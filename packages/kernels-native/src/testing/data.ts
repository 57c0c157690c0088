import { type FloatDtype, type HeadTensor, headsFirst, toBf16, tokensFirst } from "@winnow/core";

/** Uniform in [-1, 1), the same on every machine. */
export function randomFloats(count: number, seed: number): Float32Array {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

export interface HeadSizes {
  readonly heads: number;
  readonly length: number;
  readonly headDim: number;
}

/** Random view, tokens first (the layout of projections) or heads first, behind an offset that only shows if it is ignored. */
export function randomHeads(
  { heads, length, headDim }: HeadSizes,
  seed: number,
  { dtype = "f32", layout = headsFirst }: { dtype?: FloatDtype; layout?: typeof headsFirst } = {},
): HeadTensor {
  const values = randomFloats(heads * length * headDim, seed);
  const offset = 3;
  const data = dtype === "bf16" ? new Uint16Array(values.length + offset) : new Float32Array(values.length + offset);
  values.forEach((value, i) => {
    data[offset + i] = dtype === "bf16" ? toBf16(value) : value;
  });
  return { ...layout(data, heads, length, headDim), offset };
}

export function zeroHeads({ heads, length, headDim }: HeadSizes, layout = tokensFirst): HeadTensor {
  return layout(new Float32Array(heads * length * headDim), heads, length, headDim);
}
