/**
 * Letters for shapes, used in every docstring of Winnow:
 * `h` query heads, `hKv` KV heads (h is a multiple of hKv), `d` head dimension,
 * `n` tokens (`nQ` queries, `nK` keys where they differ), `B` tokens per block.
 *
 * Query head `i` reads KV head `floor(i / (h / hKv))` everywhere.
 */

/** Storage types of activations, caches and dense weights. `bf16` values live in a Uint16Array, the upper half of a float32. */
export type FloatDtype = "f32" | "bf16";

export type FloatData = Float32Array | Uint16Array;

/**
 * A view of `[heads, length, headDim]` numbers inside a flat buffer.
 * Element (head, token, c) stands at `offset + head * headStride + token * tokenStride + c`.
 * One type serves `[h, n, d]` (tokenStride = d), `[n, h * d]` (headStride = d, tokenStride = h * d) and caches with spare capacity.
 */
export interface HeadTensor {
  readonly dtype: FloatDtype;
  readonly data: FloatData;
  readonly offset: number;
  readonly heads: number;
  readonly length: number;
  readonly headDim: number;
  readonly headStride: number;
  readonly tokenStride: number;
}

/** View of contiguous `[heads, length, headDim]` data; no copy. */
export function headsFirst(data: FloatData, heads: number, length: number, headDim: number): HeadTensor {
  return {
    dtype: dtypeOf(data),
    data,
    offset: 0,
    heads,
    length,
    headDim,
    headStride: length * headDim,
    tokenStride: headDim,
  };
}

/** View of contiguous `[length, heads * headDim]` data, the layout that projections write; no copy. */
export function tokensFirst(data: FloatData, heads: number, length: number, headDim: number): HeadTensor {
  return {
    dtype: dtypeOf(data),
    data,
    offset: 0,
    heads,
    length,
    headDim,
    headStride: headDim,
    tokenStride: heads * headDim,
  };
}

/** Tokens `[start, end)` of a view; no copy. */
export function sliceTokens(x: HeadTensor, start: number, end: number): HeadTensor {
  return { ...x, offset: x.offset + start * x.tokenStride, length: end - start };
}

/** Heads `[start, end)` of a view; no copy. */
export function sliceHeads(x: HeadTensor, start: number, end: number): HeadTensor {
  return { ...x, offset: x.offset + start * x.headStride, heads: end - start };
}

export function dtypeOf(data: FloatData): FloatDtype {
  return data instanceof Float32Array ? "f32" : "bf16";
}

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Nearest bfloat16 of `x`, ties to even; NaN stays NaN. */
export function toBf16(x: number): number {
  scratchFloat[0] = x;
  const bits = scratchBits[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that bfloat16 bits stand for; exact. */
export function fromBf16(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratchFloat[0];
}

/** Value of one element, whatever the storage type. */
export function elementAt(x: HeadTensor, head: number, token: number, channel: number): number {
  const value = x.data[x.offset + head * x.headStride + token * x.tokenStride + channel];
  return x.dtype === "bf16" ? fromBf16(value) : value;
}
