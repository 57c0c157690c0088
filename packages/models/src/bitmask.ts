import { WinnowError } from "@winnow/core";
import type { StoredFloat } from "./float-convert.js";
import type { StoredTensor } from "./folder.js";
import { readTensor } from "./safetensors.js";
import { bytesPerElement, viewTensor } from "./safetensors-dtype.js";

/**
 * A matrix of an older "sparse-bitmask" checkpoint of compressed-tensors, four tensors: the non-zeros row by row, a bit for each weight (column 8k + j is bit j
 * of byte k of its row), where each row starts among the non-zeros, and the shape.
 */
export interface BitmaskMatrix {
  readonly name: string;
  readonly dtype: StoredFloat;
  readonly shape: readonly [number, number];
  readonly compressed: StoredTensor;
  readonly bitmask: StoredTensor;
  readonly rowOffsets: StoredTensor;
}

const PARTS = ["compressed", "bitmask", "shape", "row_offsets"] as const;

/** Takes the matrices of a sparse-bitmask checkpoint out of the tensors of a model. Errors: `ERR_MODEL_TENSOR`. */
export function takeBitmasks(tensors: Map<string, StoredTensor>): ReadonlyMap<string, BitmaskMatrix> {
  const names = [...tensors.keys()].filter((name) => name.endsWith(".bitmask")).map((name) => name.slice(0, -8));
  const matrices = new Map(names.map((name) => [name, findParts(tensors, name)]));
  for (const name of names) for (const part of PARTS) tensors.delete(`${name}.${part}`);
  return matrices;
}

function findParts(tensors: ReadonlyMap<string, StoredTensor>, name: string): BitmaskMatrix {
  const [compressed, bitmask, shape, rowOffsets] = PARTS.map((part) => {
    const stored = tensors.get(`${name}.${part}`);
    if (stored) return stored;
    const advice = "Only the format sparse-bitmask is read; save the model uncompressed";
    throw partError(
      tensors.get(`${name}.bitmask`) as StoredTensor,
      `it needs "${name}.${part}", which is missing`,
      advice,
    );
  });
  const { dtype } = compressed.entry;
  if ((dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") || compressed.entry.shape.length !== 1) {
    throw partError(compressed, `it must be a list of F32, F16 or BF16, got ${dtype}`);
  }
  if (shape.entry.dtype !== "I64" || shape.entry.elements !== 2) throw partError(shape, "it must be two I64");
  const [rows, columns] = [...(viewTensor("I64", readTensor(shape.file, shape.entry)) as BigInt64Array)].map(Number);
  if (!(rows > 0 && columns > 0)) throw partError(shape, `it must hold two sizes, got ${rows}, ${columns}`);
  expectPart(bitmask, "U8", [rows, Math.ceil(columns / 8)]);
  expectPart(rowOffsets, "I64", [rows]);
  return { name, dtype, shape: [rows, columns], compressed, bitmask, rowOffsets };
}

function expectPart(stored: StoredTensor, dtype: string, shape: readonly number[]): void {
  const { entry } = stored;
  if (entry.dtype === dtype && entry.shape.join() === shape.join()) return;
  throw partError(
    stored,
    `it must be ${dtype} of shape [${shape.join(", ")}], got ${entry.dtype} of shape [${entry.shape.join(", ")}]`,
  );
}

/** The whole matrix, row-major, in its own type. O(rows * columns). Error: `ERR_MODEL_TENSOR` if bits, offsets and values disagree. */
export function readBitmask(matrix: BitmaskMatrix): Uint8Array {
  const { compressed, bitmask, rowOffsets, dtype } = matrix;
  const [rows, columns] = matrix.shape;
  const bits = readTensor(bitmask.file, bitmask.entry);
  const offsets = viewTensor("I64", readTensor(rowOffsets.file, rowOffsets.entry)) as BigInt64Array;
  const stored = new WordArray[dtype](readTensor(compressed.file, compressed.entry).buffer as ArrayBuffer);
  const dense = new WordArray[dtype](new ArrayBuffer(rows * columns * bytesPerElement(dtype)));
  const rowBytes = Math.ceil(columns / 8);
  let next = 0;
  for (let row = 0; row < rows; row++) {
    if (Number(offsets[row]) !== next) {
      throw partError(rowOffsets, `row ${row} must start at ${next} according to the bitmask, got ${offsets[row]}`);
    }
    for (let column = 0; column < 8 * rowBytes; column++) {
      if (((bits[row * rowBytes + (column >>> 3)] >>> (column & 7)) & 1) === 0) continue;
      if (column >= columns) throw partError(bitmask, `row ${row} marks column ${column}, but has ${columns}`);
      dense[row * columns + column] = stored[next++];
    }
  }
  if (next !== stored.length) throw partError(compressed, `the bitmask marks ${next} values, got ${stored.length}`);
  return new Uint8Array(dense.buffer);
}

/** Values are moved as bits, never as numbers. */
const WordArray = { F32: Uint32Array, F16: Uint16Array, BF16: Uint16Array } as const;

function partError({ file, entry }: StoredTensor, problem: string, advice = "Download the model again"): WinnowError {
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot use tensor "${entry.name}" of "${file.path}": ${problem}. ${advice}.`,
  );
}
