import { type FloatData, type FloatDtype, fromBf16, toBf16 } from "@winnow/core";

/** Types of weights in model files. */
export type StoredFloat = "F32" | "F16" | "BF16";

/** The number that float16 bits stand for; exact. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The float16 bits nearest to a number, ties to even; from 65520 on they are infinite. */
export function toF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // Numbers of one binade are equally spaced; below 2^-14 the spacing stays that of the smallest.
  const exponent = Math.max(size === 0 ? -14 : Math.floor(Math.log2(size)), -14);
  const steps = roundToEven(size / 2 ** (exponent - 10));
  return sign | (steps + (exponent + 14) * 1024);
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

/**
 * Index of the first element that is NaN, infinite, or (with `target` bf16) would be rounded to infinity; -1 if there is none.
 * Works on the bits: O(n), about 1 ns an element.
 */
export function findNonFinite(dtype: StoredFloat, bytes: Uint8Array, target: FloatDtype): number {
  if (dtype === "F32") {
    const limit = target === "bf16" ? 0x7f7f8000 : 0x7f800000;
    const bits = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7fffffff) >= limit) return i;
    return -1;
  }
  const limit = dtype === "F16" ? 0x7c00 : 0x7f80;
  const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7fff) >= limit) return i;
  return -1;
}

/** Bytes of a tensor as Winnow's types: F32 and BF16 as they are (a view), F16 widened to float32 (exact, a copy). */
export function asFloatData(dtype: StoredFloat, bytes: Uint8Array): FloatData {
  const { buffer, byteOffset, byteLength } = bytes;
  if (dtype === "F32") return new Float32Array(buffer, byteOffset, byteLength / 4);
  const bits = new Uint16Array(buffer, byteOffset, byteLength / 2);
  if (dtype === "BF16") return bits;
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = fromF16(bits[i]);
  return values;
}

/** Copy of `source` in `dtype` on shared memory. */
export function copyShared(source: FloatData, dtype: "f32"): Float32Array<SharedArrayBuffer>;
export function copyShared(source: FloatData, dtype: FloatDtype): FloatData;
export function copyShared(source: FloatData, dtype: FloatDtype): FloatData {
  if (dtype === "f32") {
    const target = new Float32Array(new SharedArrayBuffer(source.length * 4));
    if (source instanceof Float32Array) target.set(source);
    else for (let i = 0; i < target.length; i++) target[i] = fromBf16(source[i]);
    return target;
  }
  const target = new Uint16Array(new SharedArrayBuffer(source.length * 2));
  if (source instanceof Float32Array) for (let i = 0; i < target.length; i++) target[i] = toBf16(source[i]);
  else target.set(source);
  return target;
}
