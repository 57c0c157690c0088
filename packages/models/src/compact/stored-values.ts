import { type DenseWeight, type FloatData, fromBf16, toBf16, WinnowError } from "@winnow/core";
import { findNonFinite, type StoredFloat, toF16 } from "../float-convert.js";
import { bytesOf } from "../safetensors-dtype.js";

/** Bytes of a dense matrix as a plain tensor of the given type, rounded to nearest, ties to even. Error: `ERR_WEIGHT_FORMAT` for NaN and infinity. */
export function storedValues(name: string, weight: DenseWeight, dtype: StoredFloat): Uint8Array {
  const bytes = bytesOf(convert(weight.data, dtype));
  const bad = findNonFinite(dtype, bytes, "f32");
  if (bad < 0) return bytes;
  throw new WinnowError(
    "ERR_WEIGHT_FORMAT",
    `Cannot write "${name}": all its weights must be finite in ${dtype}, but [${Math.floor(bad / weight.inFeatures)}, ${bad % weight.inFeatures}] is not.`,
  );
}

function convert(data: FloatData, dtype: StoredFloat): FloatData {
  const bf16 = !(data instanceof Float32Array);
  if (dtype === (bf16 ? "BF16" : "F32")) return data;
  const numbers = bf16 ? Float32Array.from(data, fromBf16) : data;
  if (dtype === "F32") return numbers;
  return Uint16Array.from(numbers, dtype === "BF16" ? toBf16 : toF16);
}
