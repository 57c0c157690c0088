import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { describe, isJsonObject, type JsonObject } from "./json.js";
import { type TensorData, type TensorDtype, viewTensor } from "./safetensors-dtype.js";
import { parseEntries, type TensorEntry } from "./safetensors-entries.js";

/** The limit of the reference implementation; a real header has about 100 bytes a tensor. */
const MAX_HEADER_BYTES = 100_000_000;

/** One `readSync` of more than 2 GiB fails on Linux, and a piece this large is already at full disk speed. */
const READ_PIECE_BYTES = 16 * 1024 * 1024;

/** A checked header: every entry lies inside the file, and together they cover it without overlap or hole. */
export interface SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order in which their bytes stand in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

export interface LoadedTensor {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/**
 * Reads and checks the header of a safetensors file: 8 bytes little-endian header length, a JSON header, raw little-endian data.
 * No tensor data is read. Cost: O(header).
 *
 * Errors: `ERR_MODEL_FILE` for the file as a whole, `ERR_MODEL_TENSOR` for one entry.
 */
export function readSafetensorsHeader(path: string): SafetensorsFile {
  return withFile(path, (fd) => {
    const fileBytes = fstatSync(fd).size;
    const headerBytes = readHeaderLength(fd, path, fileBytes);
    const header = new Uint8Array(headerBytes);
    readFully(fd, path, header, 8);
    const object = parseHeader(path, header);
    const dataStart = 8 + headerBytes;
    return {
      path,
      metadata: parseMetadata(path, object),
      tensors: parseEntries(path, object, dataStart, fileBytes - dataStart),
    };
  });
}

/**
 * Bytes of one tensor, read in pieces into `into` (which may be a view of shared memory) or into new memory.
 * `into` must be exactly `entry.byteLength` bytes long.
 */
export function readTensor(file: SafetensorsFile, entry: TensorEntry, into?: Uint8Array): Uint8Array {
  const bytes = into ?? new Uint8Array(entry.byteLength);
  if (bytes.byteLength !== entry.byteLength) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot read tensor "${entry.name}": the target must be ${entry.byteLength} bytes long, got ${bytes.byteLength}.`,
    );
  }
  withFile(file.path, (fd) => readFully(fd, file.path, bytes, entry.start));
  return bytes;
}

/** Bytes of a tensor from byte `start` on, as many as `into` holds. */
export function readTensorPart(file: SafetensorsFile, entry: TensorEntry, start: number, into: Uint8Array): void {
  if (start + into.byteLength > entry.byteLength) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot read tensor "${entry.name}": bytes ${start}..${start + into.byteLength} go beyond its ${entry.byteLength}.`,
    );
  }
  withFile(file.path, (fd) => readFully(fd, file.path, into, entry.start + start));
}

/** Reads a whole file into memory; for fixtures and small files. */
export function loadSafetensors(path: string): {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, LoadedTensor>;
} {
  const file = readSafetensorsHeader(path);
  const tensors = new Map<string, LoadedTensor>();
  for (const [name, entry] of file.tensors) {
    const data = viewTensor(entry.dtype, readTensor(file, entry));
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, data });
  }
  return { metadata: file.metadata, tensors };
}

function readHeaderLength(fd: number, path: string, fileBytes: number): number {
  if (fileBytes < 8) {
    throw fileError(path, `it must hold at least the 8 bytes of the header length, got ${fileBytes} bytes`);
  }
  const prefix = new Uint8Array(8);
  readFully(fd, path, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  const limit = Math.min(fileBytes - 8, MAX_HEADER_BYTES);
  if (length < 2n || length > BigInt(limit)) {
    throw fileError(path, `the header length must be in 2..${limit} (the file has ${fileBytes} bytes), got ${length}`);
  }
  return Number(length);
}

function parseHeader(path: string, bytes: Uint8Array): JsonObject {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw fileError(path, `the header must be UTF-8 JSON, got ${(cause as Error).message}`, cause);
  }
  if (!isJsonObject(header)) throw fileError(path, `the header must be a JSON object, got ${describe(header)}`);
  return header;
}

function parseMetadata(path: string, header: JsonObject): Record<string, string> {
  const metadata = header.__metadata__ ?? {};
  if (!isJsonObject(metadata)) throw fileError(path, `"__metadata__" must be an object, got ${describe(metadata)}`);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") {
      throw fileError(path, `"__metadata__" must hold texts only, got ${describe(value)} for "${key}"`);
    }
  }
  return metadata as Record<string, string>;
}

function readFully(fd: number, path: string, target: Uint8Array, start: number): void {
  let done = 0;
  while (done < target.byteLength) {
    const wanted = Math.min(READ_PIECE_BYTES, target.byteLength - done);
    const got = readSync(fd, target, done, wanted, start + done);
    if (got === 0) {
      throw fileError(
        path,
        `${target.byteLength} bytes were expected at offset ${start}, got ${done}: it was cut while being read`,
      );
    }
    done += got;
  }
}

function withFile<T>(path: string, use: (fd: number) => T): T {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    return use(fd);
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    throw new WinnowError(
      "ERR_MODEL_FILE",
      `Cannot read "${path}": ${(cause as Error).message}. Check the path and its rights.`,
      { cause },
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function fileError(path: string, problem: string, cause?: unknown): WinnowError {
  return new WinnowError(
    "ERR_MODEL_FILE",
    `Cannot read "${path}" as safetensors: ${problem}. Download or convert the file again.`,
    cause === undefined ? {} : { cause },
  );
}
