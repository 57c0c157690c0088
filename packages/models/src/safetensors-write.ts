import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { bytesPerElement, type TensorData, type TensorDtype, tensorArrays } from "./safetensors-dtype.js";

export interface TensorToWrite {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** The elements, or a function that makes them when their turn comes, so that a large model need not be in memory at once. */
  readonly data: TensorData | (() => TensorData);
}

interface PlacedTensor extends TensorToWrite {
  readonly name: string;
  readonly begin: number;
  readonly byteLength: number;
}

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

function headerBytes(placed: readonly PlacedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries: [string, unknown][] = placed.map(({ name, dtype, shape, begin, byteLength }) => [
    name,
    { dtype, shape, data_offsets: [begin, begin + byteLength] },
  ]);
  if (Object.keys(metadata).length > 0) entries.unshift(["__metadata__", metadata]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

function dataBytes(tensor: PlacedTensor): Uint8Array {
  const data = typeof tensor.data === "function" ? tensor.data() : tensor.data;
  if (!(data instanceof tensorArrays[tensor.dtype]) || data.byteLength !== tensor.byteLength) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot write tensor "${tensor.name}": ${tensor.dtype} of shape [${tensor.shape.join(", ")}] must be a ${tensorArrays[tensor.dtype].name} of ${tensor.byteLength} bytes, got a ${data.constructor.name} of ${data.byteLength}.`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function writeFully(fd: number, bytes: Uint8Array): void {
  const pieceBytes = 16 * 1024 * 1024;
  let done = 0;
  while (done < bytes.byteLength) done += writeSync(fd, bytes, done, Math.min(pieceBytes, bytes.byteLength - done));
}
