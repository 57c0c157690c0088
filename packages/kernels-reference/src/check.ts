import { type ErrorCode, type FloatData, type HeadTensor, WinnowError } from "@winnow/core";

/** Throws ERR_OPERATION_ARGUMENT unless `holds`. `expected` completes "must". */
export function check(holds: boolean, operation: string, argument: string, expected: string, given: unknown): void {
  if (!holds) refuse("ERR_OPERATION_ARGUMENT", operation, argument, expected, given);
}

/** {@link check} for the inside of a weight: throws ERR_WEIGHT_FORMAT. */
export function checkPart(holds: boolean, operation: string, part: string, expected: string, given: unknown): void {
  if (!holds) refuse("ERR_WEIGHT_FORMAT", operation, `weight.${part}`, expected, given);
}

function refuse(code: ErrorCode, operation: string, argument: string, expected: string, given: unknown): never {
  throw new WinnowError(code, `Cannot run ${operation}: ${argument} must ${expected}, got ${describe(given)}.`);
}

function describe(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${(value as FloatData).length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

export function checkCount(operation: string, argument: string, value: number, minimum = 0): void {
  check(Number.isSafeInteger(value) && value >= minimum, operation, argument, `be an integer >= ${minimum}`, value);
}

type ArrayType =
  | typeof Float32Array
  | typeof Int32Array
  | typeof Uint32Array
  | typeof Uint16Array
  | typeof Int8Array
  | typeof Uint8Array;

export function checkArray(operation: string, argument: string, array: unknown, type: ArrayType, length: number): void {
  const fits = array instanceof type && array.length >= length;
  check(fits, operation, argument, `be a ${type.name} of at least ${length} elements`, array);
}

/** A part of a weight, which has exactly `length` elements. */
export function checkPartArray(operation: string, part: string, array: unknown, type: ArrayType, length: number): void {
  const fits = array instanceof type && array.length === length;
  checkPart(fits, operation, part, `be a ${type.name} of ${length} elements`, array);
}

/** Array of the type that `dtype` names. */
export function checkData(
  operation: string,
  argument: string,
  x: { dtype: string; data: FloatData },
  length: number,
): void {
  check(x.dtype === "f32" || x.dtype === "bf16", operation, `${argument}.dtype`, 'be "f32" or "bf16"', x.dtype);
  checkArray(operation, `${argument}.data`, x.data, x.dtype === "f32" ? Float32Array : Uint16Array, length);
}

/** Checks that a view lies inside its data and has the `wanted` fields. */
export function checkHeads(operation: string, argument: string, x: HeadTensor, wanted: Partial<HeadTensor> = {}): void {
  check(typeof x === "object" && x !== null, operation, argument, "be a HeadTensor", x);
  for (const size of ["heads", "headDim"] as const) checkCount(operation, `${argument}.${size}`, x[size], 1);
  for (const step of ["length", "offset", "headStride", "tokenStride"] as const) {
    checkCount(operation, `${argument}.${step}`, x[step]);
  }
  const last = x.offset + (x.heads - 1) * x.headStride + (x.length - 1) * x.tokenStride + x.headDim;
  checkData(operation, argument, x, x.length === 0 ? 0 : last);
  for (const [field, value] of Object.entries(wanted)) {
    const given = x[field as keyof HeadTensor];
    check(given === value, operation, `${argument}.${field}`, `be ${value}`, given);
  }
}

/** Index lists: `offsets` ascends from 0 over `lists` lists, list l holds strictly ascending indices below `limit(l)`. */
export function checkLists(
  operation: string,
  indices: Int32Array,
  offsets: Int32Array,
  lists: number,
  limit: (list: number) => number,
): void {
  checkArray(operation, "offsets", offsets, Int32Array, lists + 1);
  check(offsets[0] === 0, operation, "offsets[0]", "be 0", offsets[0]);
  for (let l = 0; l < lists; l++) {
    check(offsets[l] <= offsets[l + 1], operation, `offsets[${l + 1}]`, `be at least ${offsets[l]}`, offsets[l + 1]);
  }
  checkArray(operation, "indices", indices, Int32Array, offsets[lists]);
  for (let l = 0; l < lists; l++) {
    for (let t = offsets[l]; t < offsets[l + 1]; t++) {
      const minimum = t === offsets[l] ? 0 : indices[t - 1] + 1;
      const inside = indices[t] >= minimum && indices[t] < limit(l);
      check(inside, operation, `index ${t - offsets[l]} of list ${l}`, `be in ${minimum}..${limit(l) - 1}`, indices[t]);
    }
  }
}
