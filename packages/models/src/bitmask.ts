import { WinnowError } from "@winnow/core";
import type { StoredFloat } from "./float-convert.js";
import type { StoredTensor } from "./folder.js";
import { readTensor } from "./safetensors.js";
import { bytesPerElement, viewTensor } from "./safetensors-dtype.js";

/**
 * A matrix of an older sparse checkpoint of compressed-tensors: its stored values row by row, a bit for each weight (column 8k + j is bit j of byte k of its row), its
 * shape, and, where rows differ in their number of values, where each starts among them.
 */
export interface BitmaskMatrix {
  /** `sparse-24-bitmask`: of each 4 neighbours along a row exactly 2 are stored, zeros among them. */
  readonly format: "sparse-bitmask" | "sparse-24-bitmask";
  /** Of the plain tensor that it stands for. */
  readonly name: string;
  readonly dtype: StoredFloat;
  readonly shape: readonly [number, number];
  readonly compressed: StoredTensor;
  readonly bitmask: StoredTensor;
  /** Absent in `sparse-24-bitmask`. */
  readonly rowOffsets?: StoredTensor;
}

/** Takes the matrices of a sparse checkpoint out of the tensors of a model. Errors: `ERR_MODEL_TENSOR`. */
export function takeBitmasks(tensors: Map<string, StoredTensor>): ReadonlyMap<string, BitmaskMatrix> {
  const prefixes = [...tensors.keys()].filter((name) => name.endsWith(".bitmask")).map((name) => name.slice(0, -8));
  const matrices = prefixes.map((prefix) => findParts(tensors, prefix));
  for (const prefix of prefixes)
    for (const part of ["compressed", "bitmask", "shape", "row_offsets"]) tensors.delete(`${prefix}.${part}`);
  return new Map(matrices.map((matrix) => [matrix.name, matrix]));
}

function findParts(tensors: ReadonlyMap<string, StoredTensor>, prefix: string): BitmaskMatrix {
  const part = (name: string): StoredTensor => {
    const stored = tensors.get(`${prefix}.${name}`);
    if (stored) return stored;
    const bitmask = tensors.get(`${prefix}.bitmask`) as StoredTensor;
    throw partError(bitmask, `it needs "${prefix}.${name}", which is missing`);
  };
  const [compressed, bitmask, shape] = ["compressed", "bitmask", "shape"].map(part);
  const { dtype } = compressed.entry;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16")
    throw partError(compressed, `it must be F32, F16 or BF16, got ${dtype}`);
  const [rows, columns] = sizesOf(shape);
  expectPart(bitmask, "U8", [rows, Math.ceil(columns / 8)]);
  const common = { dtype, shape: [rows, columns], compressed, bitmask } as const;
  // Only the 2:4 form drops the last part of the name.
  if (!prefix.endsWith(".weight") && !tensors.has(`${prefix}.row_offsets`)) {
    if (columns % 4 !== 0) throw partError(shape, `a 2:4 matrix must have a multiple of 4 columns, got ${columns}`);
    expectPart(compressed, dtype, [rows, columns / 2]);
    return { format: "sparse-24-bitmask", name: `${prefix}.weight`, ...common };
  }
  if (compressed.entry.shape.length !== 1) throw partError(compressed, "it must be a list of values");
  const rowOffsets = part("row_offsets");
  expectPart(rowOffsets, "I64", [rows]);
  return { format: "sparse-bitmask", name: prefix, ...common, rowOffsets };
}

function sizesOf(shape: StoredTensor): readonly [number, number] {
  if (shape.entry.dtype !== "I64" || shape.entry.elements !== 2) throw partError(shape, "it must be two I64");
  const [rows, columns] = viewTensor("I64", readTensor(shape.file, shape.entry)) as BigInt64Array;
  if (rows > 0n && columns > 0n) return [Number(rows), Number(columns)];
  throw partError(shape, `it must hold two sizes, got ${rows}, ${columns}`);
}

function expectPart(stored: StoredTensor, dtype: string, shape: readonly number[]): void {
  const { entry } = stored;
  if (entry.dtype === dtype && entry.shape.join() === shape.join()) return;
  throw partError(
    stored,
    `it must be ${dtype} of shape [${shape.join(", ")}], got ${entry.dtype} of shape [${entry.shape.join(", ")}]`,
  );
}

/**
 * The whole matrix, row-major, in its own type. O(rows * columns). Error: `ERR_MODEL_TENSOR` if bits, offsets and values disagree, or bits are not 2 of each 4 where they
 * must be.
 */
export function readBitmask(matrix: BitmaskMatrix): Uint8Array {
  const { compressed, bitmask, dtype } = matrix;
  const [rows, columns] = matrix.shape;
  const bits = readTensor(bitmask.file, bitmask.entry);
  const checkRow = matrix.rowOffsets ? offsetCheck(matrix.rowOffsets) : twoOfFourCheck(matrix, bits);
  const stored = new WordArray[dtype](readTensor(compressed.file, compressed.entry).buffer as ArrayBuffer);
  const dense = new WordArray[dtype](new ArrayBuffer(rows * columns * bytesPerElement(dtype)));
  const rowBytes = Math.ceil(columns / 8);
  let next = 0;
  for (let row = 0; row < rows; row++) {
    checkRow(row, next);
    for (let column = 0; column < 8 * rowBytes; column++) {
      if (((bits[row * rowBytes + (column >>> 3)] >>> (column & 7)) & 1) === 0) continue;
      if (column >= columns) throw partError(bitmask, `row ${row} marks column ${column}, but has ${columns}`);
      dense[row * columns + column] = stored[next++];
    }
  }
  if (next !== stored.length) throw partError(compressed, `the bitmask marks ${next} values, got ${stored.length}`);
  return new Uint8Array(dense.buffer);
}

function offsetCheck(rowOffsets: StoredTensor): (row: number, next: number) => void {
  const offsets = viewTensor("I64", readTensor(rowOffsets.file, rowOffsets.entry)) as BigInt64Array;
  return (row, next) => {
    if (Number(offsets[row]) === next) return;
    throw partError(rowOffsets, `row ${row} must start at ${next} according to the bitmask, got ${offsets[row]}`);
  };
}

function twoOfFourCheck({ bitmask, shape: [, columns] }: BitmaskMatrix, bits: Uint8Array): (row: number) => void {
  const rowBytes = Math.ceil(columns / 8);
  return (row) => {
    for (let column = 0; column < columns; column += 4) {
      const four = (bits[row * rowBytes + (column >>> 3)] >>> (column & 4)) & 15;
      const marked = (four & 1) + ((four >>> 1) & 1) + ((four >>> 2) & 1) + (four >>> 3);
      if (marked === 2) continue;
      throw partError(bitmask, `row ${row} must mark 2 of the columns ${column} to ${column + 3}, got ${marked}`);
    }
  };
}

/** Values are moved as bits, never as numbers. */
const WordArray = { F32: Uint32Array, F16: Uint16Array, BF16: Uint16Array } as const;

function partError({ file, entry }: StoredTensor, problem: string): WinnowError {
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot use tensor "${entry.name}" of "${file.path}": ${problem}. Download the model again.`,
  );
}
