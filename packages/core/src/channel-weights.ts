import type { ChannelsWeight, DenseWeight, GatedRowsWeight, LowRankFactors, Selection } from "./linear-weight.js";
import { type FloatData, type FloatDtype, fromBf16, toBf16 } from "./tensor.js";

/** A {@link ChannelsWeight} of a dense weight, in shared memory. O(out * in). */
export function channelsWeight(
  weight: DenseWeight,
  dtype: FloatDtype,
  selection: Selection,
  lowRank?: LowRankFactors,
): ChannelsWeight {
  const { outFeatures, inFeatures, bias } = weight;
  const data = sharedFloats(dtype, outFeatures * inFeatures);
  const convert = converter(weight.dtype, dtype);
  for (let o = 0; o < outFeatures; o++)
    for (let i = 0; i < inFeatures; i++) data[i * outFeatures + o] = convert(weight.data[o * inFeatures + i]);
  return {
    format: "channels",
    dtype,
    outFeatures,
    inFeatures,
    data,
    selection,
    ...(lowRank && { lowRank }),
    ...(bias && { bias }),
  };
}

/** A {@link GatedRowsWeight} of a dense weight, in shared memory. O(out * in). */
export function gatedRowsWeight(weight: DenseWeight, dtype: FloatDtype, selection: Selection): GatedRowsWeight {
  const { outFeatures, inFeatures, bias } = weight;
  const data = sharedFloats(dtype, outFeatures * inFeatures);
  const convert = converter(weight.dtype, dtype);
  for (let e = 0; e < data.length; e++) data[e] = convert(weight.data[e]);
  return { format: "gated-rows", dtype, outFeatures, inFeatures, data, selection, ...(bias && { bias }) };
}

/** Numbers in memory that all workers see. */
export function sharedFloats(dtype: FloatDtype, length: number): FloatData {
  return dtype === "bf16"
    ? new Uint16Array(new SharedArrayBuffer(2 * length))
    : new Float32Array(new SharedArrayBuffer(4 * length));
}

function converter(from: FloatDtype, to: FloatDtype): (stored: number) => number {
  if (from === to) return (stored) => stored;
  return from === "bf16" ? fromBf16 : toBf16;
}
