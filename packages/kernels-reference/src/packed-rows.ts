import { dtypeOf, type HeadTensor, type KeptElements, type PackedRows } from "@winnow/core";
import { check, checkArray, checkCount, checkData, checkHeads } from "./check.js";

/** Stores the kept elements of rows, each row anew: what stood in its place does not matter. */
export function packTokens(source: HeadTensor, elements: KeptElements, target: PackedRows, start: number): void {
  checkPackTask(source, elements, target, start);
  const { kept, indices } = elements;
  const width = Math.ceil(target.headDim / 8);
  for (let head = 0; head < source.heads; head++) {
    for (let t = 0; t < source.length; t++) {
      const from = source.offset + head * source.headStride + t * source.tokenStride;
      const row = head * target.capacity + start + t;
      target.bitmap.fill(0, row * width, (row + 1) * width);
      for (let j = 0; j < kept; j++) {
        const c = indices[(head * source.length + t) * kept + j];
        target.bitmap[row * width + (c >> 3)] |= 1 << (c & 7);
        target.values[row * kept + j] = source.data[from + c];
      }
    }
  }
}

/** Rows of one head with zeros where nothing is stored, as float32 `[tokens, headDim]`. */
export function packedHeadRows(x: PackedRows, head: number): Float32Array {
  const { headDim, kept, length } = x;
  const rows = new Float32Array(length * headDim);
  // bf16 is the upper half of a float32.
  const bits = new Uint32Array(rows.buffer);
  const width = Math.ceil(headDim / 8);
  for (let t = 0; t < length; t++) {
    const row = head * x.capacity + t;
    let place = row * kept;
    for (let c = 0; c < headDim; c++) {
      if ((x.bitmap[row * width + (c >> 3)] & (1 << (c & 7))) === 0) continue;
      if (x.dtype === "bf16") bits[t * headDim + c] = x.values[place++] << 16;
      else rows[t * headDim + c] = x.values[place++];
    }
  }
  return rows;
}

/** Bytes of one row: its bits and its stored elements. */
export function bytesPerPackedRow({ headDim, kept, dtype }: PackedRows): number {
  return Math.ceil(headDim / 8) + kept * (dtype === "bf16" ? 2 : 4);
}

/** Checks sizes, and that the bitmap of every stored row has `kept` bits, none beyond `headDim`. O(heads * length * headDim / 8). */
export function checkPacked(operation: string, argument: string, x: PackedRows, wanted: Partial<PackedRows>): void {
  checkPackedSizes(operation, argument, x);
  for (const [field, value] of Object.entries(wanted)) {
    const given = x[field as keyof PackedRows];
    check(given === value, operation, `${argument}.${field}`, `be ${value}`, given);
  }
  const width = Math.ceil(x.headDim / 8);
  const unused = x.headDim % 8 === 0 ? 0 : 0xff & (0xff << (x.headDim % 8));
  for (let head = 0; head < x.heads; head++) {
    for (let t = 0; t < x.length; t++) {
      const row = x.bitmap.subarray((head * x.capacity + t) * width, (head * x.capacity + t + 1) * width);
      const count = (row[width - 1] & unused) === 0 ? row.reduce((sum, byte) => sum + bitCount(byte), 0) : -1;
      const place = `${argument}.bitmap of head ${head}, token ${t}`;
      check(count === x.kept, operation, place, `have ${x.kept} of its first ${x.headDim} bits set`, Array.from(row));
    }
  }
}

function checkPackedSizes(operation: string, argument: string, x: PackedRows): void {
  check(typeof x === "object" && x !== null, operation, argument, "be PackedRows", x);
  for (const size of ["heads", "capacity", "headDim", "kept"] as const)
    checkCount(operation, `${argument}.${size}`, x[size], 1);
  checkCount(operation, `${argument}.length`, x.length);
  check(x.length <= x.capacity, operation, `${argument}.length`, `be at most its capacity ${x.capacity}`, x.length);
  check(x.kept <= x.headDim, operation, `${argument}.kept`, `be at most headDim (${x.headDim})`, x.kept);
  checkArray(operation, `${argument}.bitmap`, x.bitmap, Uint8Array, x.heads * x.capacity * Math.ceil(x.headDim / 8));
  checkData(operation, argument, { dtype: x.dtype, data: x.values }, x.heads * x.capacity * x.kept);
}

function checkPackTask(source: HeadTensor, elements: KeptElements, target: PackedRows, start: number): void {
  const operation = "packTokens";
  checkPackedSizes(operation, "target", target);
  const { heads, headDim, kept } = target;
  checkHeads(operation, "source", source, { dtype: dtypeOf(target.values), heads, headDim });
  checkCount(operation, "start", start);
  const room = target.capacity - source.length;
  check(start <= room, operation, "start", `leave room for ${source.length} tokens, so be at most ${room}`, start);
  check(typeof elements === "object" && elements !== null, operation, "elements", "be KeptElements", elements);
  check(elements.kept === kept, operation, "elements.kept", `be ${kept}, as in target`, elements.kept);
  const rows = heads * source.length;
  checkArray(operation, "elements.indices", elements.indices, Uint16Array, rows * kept);
  for (let at = 0; at < rows * kept; at++) {
    const minimum = at % kept === 0 ? 0 : elements.indices[at - 1] + 1;
    const index = elements.indices[at];
    const place = `element ${at % kept} of row ${Math.floor(at / kept)}`;
    check(index >= minimum && index < headDim, operation, place, `be in ${minimum}..${headDim - 1}`, index);
  }
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}
