import type { HeadTensor } from "@winnow/core";

/** Tokens of one head, all or those that are listed, as float32 `[tokens, headDim]`: converted once, not at each use. */
export function headRows(x: HeadTensor, head: number, tokens?: Int32Array): Float32Array {
  const { data, headDim } = x;
  const count = tokens?.length ?? x.length;
  const rows = new Float32Array(count * headDim);
  // bf16 is the upper half of a float32.
  const bits = new Uint32Array(rows.buffer);
  const isBf16 = x.dtype === "bf16";
  for (let t = 0; t < count; t++) {
    const place = x.offset + head * x.headStride + (tokens ? tokens[t] : t) * x.tokenStride;
    if (isBf16) for (let c = 0; c < headDim; c++) bits[t * headDim + c] = data[place + c] << 16;
    else for (let c = 0; c < headDim; c++) rows[t * headDim + c] = data[place + c];
  }
  return rows;
}
