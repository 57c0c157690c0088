import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { bytesOf, bytesPerElement, type TensorData, type TensorDtype, tensorArrays } from "./safetensors-dtype.js";

export interface TensorToWrite {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** The elements, or a function that makes them when their turn comes, so that a large model need not be in memory at once. */
  readonly data: TensorData | (() => TensorData);
}

/** What the header says of a tensor. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** From the start of the data. */
  readonly begin: number;
  readonly byteLength: number;
}

type PlacedTensor = TensorToWrite & TensorPlace;

/**
 * Writes a safetensors file. The bytes go to a temporary name beside the target, which is renamed at the end: a reader never sees half a file,
 * and a failure leaves an existing file as it was.
 *
 * Tensors are ordered by falling element size, then by name, so that each starts aligned and the same input gives the same bytes.
 * Errors: `ERR_OUTPUT_FILE` if the file cannot be written, `ERR_OPERATION_ARGUMENT` if data does not fit its shape.
 */
export function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, TensorToWrite>>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const placed = placeTensors(tensors);
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}.tmp`;
  try {
    writeFile(temporary, placed, metadata);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    if (cause instanceof WinnowError) throw cause;
    throw new WinnowError(
      "ERR_OUTPUT_FILE",
      `Cannot write "${path}": ${(cause as Error).message}. Check the folder, its rights and the free space.`,
      { cause },
    );
  }
}

function placeTensors(tensors: Readonly<Record<string, TensorToWrite>>): PlacedTensor[] {
  const names = Object.keys(tensors).sort((a, b) => {
    const bySize = bytesPerElement(tensors[b].dtype) - bytesPerElement(tensors[a].dtype);
    return bySize || (a < b ? -1 : 1);
  });
  let begin = 0;
  return names.map((name) => {
    const tensor = tensors[name];
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    const place = { ...tensor, name, begin, byteLength: elements * bytesPerElement(tensor.dtype) };
    begin += place.byteLength;
    return place;
  });
}

function writeFile(path: string, placed: readonly PlacedTensor[], metadata: Readonly<Record<string, string>>): void {
  const fd = openSync(path, "wx");
  try {
    writeFully(fd, headerBytes(placed, metadata));
    for (const tensor of placed) writeFully(fd, dataBytes(tensor));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Length and header as they stand at the start of a file, filled up with spaces to `bytes`, a multiple of 8 (default: the smallest).
 * Error: `ERR_OPERATION_ARGUMENT` if it needs more.
 */
export function headerBytes(
  placed: readonly TensorPlace[],
  metadata: Readonly<Record<string, string>>,
  bytes?: number,
): Uint8Array {
  const entries: [string, unknown][] = placed.map(({ name, dtype, shape, begin, byteLength }) => [
    name,
    { dtype, shape, data_offsets: [begin, begin + byteLength] },
  ]);
  if (Object.keys(metadata).length > 0) entries.unshift(["__metadata__", metadata]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const needed = 8 + Math.ceil(json.length / 8) * 8;
  const total = bytes ?? needed;
  if (needed > total) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot write a header of ${needed} bytes: ${total} were set aside.`,
    );
  }
  const header = new Uint8Array(total).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(total - 8), true);
  header.set(json, 8);
  return header;
}

function dataBytes(tensor: PlacedTensor): Uint8Array {
  const data = typeof tensor.data === "function" ? tensor.data() : tensor.data;
  if (!(data instanceof tensorArrays[tensor.dtype]) || data.byteLength !== tensor.byteLength) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot write tensor "${tensor.name}": ${tensor.dtype} of shape [${tensor.shape.join(", ")}] must be a ${tensorArrays[tensor.dtype].name} of ${tensor.byteLength} bytes, got a ${data.constructor.name} of ${data.byteLength}.`,
    );
  }
  return bytesOf(data);
}

/** Writes all bytes in pieces, at the file's position or at `start`. */
export function writeFully(fd: number, bytes: Uint8Array, start?: number): void {
  const pieceBytes = 16 * 1024 * 1024;
  let done = 0;
  while (done < bytes.byteLength) {
    const wanted = Math.min(pieceBytes, bytes.byteLength - done);
    done += writeSync(fd, bytes, done, wanted, start === undefined ? null : start + done);
  }
}
