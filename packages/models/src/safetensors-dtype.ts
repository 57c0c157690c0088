/**
 * Element types of safetensors files and the typed arrays that hold them.
 * F16 and BF16 are kept as their bits, BOOL as bytes.
 */
export const tensorArrays = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type TensorDtype = keyof typeof tensorArrays;

/** On memory of its own or on shared memory. */
export type TensorData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

export function isTensorDtype(name: unknown): name is TensorDtype {
  return typeof name === "string" && Object.hasOwn(tensorArrays, name);
}

export function bytesPerElement(dtype: TensorDtype): number {
  return tensorArrays[dtype].BYTES_PER_ELEMENT;
}

/** The bytes of a tensor; no copy. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The bytes as elements of `dtype`; no copy, so the view must start at a multiple of the element size. */
export function viewTensor(dtype: TensorDtype, bytes: Uint8Array): TensorData {
  const type = tensorArrays[dtype];
  return new type(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / type.BYTES_PER_ELEMENT);
}
