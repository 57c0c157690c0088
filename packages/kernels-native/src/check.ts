import { type FloatData, type HeadTensor, WinnowError } from "@winnow/core";

/** The one way to refuse an argument: throws ERR_OPERATION_ARGUMENT unless `holds`. `expected` completes "must". */
export function check(holds: boolean, operation: string, argument: string, expected: string, given: unknown): void {
  if (holds) return;
  const message = `Cannot run ${operation}: ${argument} must ${expected}, got ${describe(given)}.`;
  throw new WinnowError("ERR_OPERATION_ARGUMENT", message);
}

/** Native code counts with 32 bits. */
const MOST = 2 ** 31 - 1;

// Messages are put together only where a check fails: a decoder passes about a thousand checks per token.

/** Integer in [low, high]. */
export function checkInteger(operation: string, argument: string, value: number, low = 0, high = MOST): void {
  if (isInteger(value, low, high)) return;
  check(false, operation, argument, `be an integer in ${low}..${high}`, value);
}

function isInteger(value: number, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && value >= low && value <= high;
}

export function checkFinite(operation: string, argument: string, value: number): void {
  check(Number.isFinite(value), operation, argument, "be a finite number", value);
}

type ArrayType = typeof Float32Array | typeof Uint16Array | typeof Int32Array | typeof Uint8Array;

/** Array of that very type with at least `length` elements; its memory may be shared. */
export function checkArray(operation: string, argument: string, array: unknown, type: ArrayType, length = 0): void {
  if (array instanceof type && array.length >= length) return;
  check(false, operation, argument, `be a ${type.name} of at least ${length} elements`, array);
}

/** Float32Array, or Uint16Array of bf16 bits, as `dtype` says. */
export function checkData(
  operation: string,
  argument: string,
  x: { dtype: string; data: FloatData },
  length: number,
  field = "data",
): void {
  const type = x.dtype === "bf16" ? Uint16Array : Float32Array;
  if ((x.dtype === "bf16" || x.dtype === "f32") && x.data instanceof type && x.data.length >= length) return;
  check(x.dtype === "f32" || x.dtype === "bf16", operation, `${argument}.dtype`, 'be "f32" or "bf16"', x.dtype);
  checkArray(operation, `${argument}.${field}`, x.data, type, length);
}

/** A view that lies inside its data and has the `wanted` fields. */
export function checkHeads(operation: string, argument: string, x: HeadTensor, wanted: Partial<HeadTensor> = {}): void {
  check(typeof x === "object" && x !== null, operation, argument, "be a HeadTensor", x);
  for (const [field, low, high] of headFields) {
    if (!isInteger(x[field], low, high)) checkInteger(operation, `${argument}.${field}`, x[field], low, high);
  }
  checkData(operation, argument, x, endOf(x));
  for (const field in wanted) {
    const [expected, given] = [wanted[field as keyof HeadTensor], x[field as keyof HeadTensor]];
    if (given !== expected) check(false, operation, `${argument}.${field}`, `be ${expected}`, given);
  }
}

const headFields = [
  ["heads", 1, MOST],
  ["length", 0, MOST],
  ["headDim", 1, MOST],
  ["offset", 0, Number.MAX_SAFE_INTEGER],
  ["headStride", 0, Number.MAX_SAFE_INTEGER],
  ["tokenStride", 0, Number.MAX_SAFE_INTEGER],
] as const;

export function checkHead(operation: string, argument: string, head: number, x: HeadTensor): void {
  checkInteger(operation, argument, head, 0, x.heads - 1);
}

/** Two views may be the same memory element by element; otherwise a thread could read what another has overwritten. */
export function checkOverlap(operation: string, argument: string, x: HeadTensor, y: HeadTensor): void {
  if (x.data.buffer !== y.data.buffer || x.length === 0 || y.length === 0) return;
  const [start, end] = bytesOf(x);
  const [otherStart, otherEnd] = bytesOf(y);
  if (end <= otherStart || otherEnd <= start) return;
  const same = start === otherStart && x.headStride === y.headStride && x.tokenStride === y.tokenStride;
  check(same, operation, argument, "be separate memory, or the same view", x.data);
}

function bytesOf(x: HeadTensor): [start: number, end: number] {
  const { byteOffset, BYTES_PER_ELEMENT } = x.data;
  return [byteOffset + x.offset * BYTES_PER_ELEMENT, byteOffset + endOf(x) * BYTES_PER_ELEMENT];
}

/** One past the highest element that the view can touch. */
function endOf(x: HeadTensor): number {
  if (x.length === 0) return 0;
  return x.offset + (x.heads - 1) * x.headStride + (x.length - 1) * x.tokenStride + x.headDim;
}

function describe(value: unknown): string {
  if (ArrayBuffer.isView(value) && "length" in value) return `${value.constructor.name} of ${value.length}`;
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
