import { fromBf16, type HeadTensor } from "@winnow/core";

/** Tokens of one head, all or those that are listed, as float32 `[tokens, headDim]`: converted once, not at each use. */
export function headRows(x: HeadTensor, head: number, tokens?: Int32Array): Float32Array {
  const count = tokens?.length ?? x.length;
  const rows = new Float32Array(count * x.headDim);
  for (let t = 0; t < count; t++) {
    const place = x.offset + head * x.headStride + (tokens ? tokens[t] : t) * x.tokenStride;
    const row = x.data.subarray(place, place + x.headDim);
    if (x.dtype === "f32") rows.set(row, t * x.headDim);
    else for (let c = 0; c < x.headDim; c++) rows[t * x.headDim + c] = fromBf16(row[c]);
  }
  return rows;
}
