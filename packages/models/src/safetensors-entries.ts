import { WinnowError } from "@winnow/core";
import { describe, isJsonObject, type JsonObject } from "./json.js";
import { bytesPerElement, isTensorDtype, type TensorDtype, tensorArrays } from "./safetensors-dtype.js";

/** Where one tensor stands in its file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly elements: number;
  /** Offset from the start of the file, in bytes. */
  readonly start: number;
  readonly byteLength: number;
}

/**
 * Checks every entry of a header by itself, then that the entries cover the data exactly.
 * Full coverage also exposes a name that stands twice in the header: JSON keeps the last one, and the bytes of the first are a hole.
 */
export function parseEntries(
  path: string,
  header: JsonObject,
  dataStart: number,
  dataBytes: number,
): ReadonlyMap<string, TensorEntry> {
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => parseEntry(path, name, value, dataStart, dataBytes))
    .sort((a, b) => a.start - b.start || a.byteLength - b.byteLength);
  checkCoverage(path, entries, dataStart, dataBytes);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function parseEntry(path: string, name: string, value: unknown, dataStart: number, dataBytes: number): TensorEntry {
  const fail = (problem: string) => tensorError(path, name, problem);
  if (!isJsonObject(value)) throw fail(`its entry must be an object, got ${describe(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isTensorDtype(dtype)) {
    throw fail(`its dtype must be one of ${Object.keys(tensorArrays).join(", ")}, got ${describe(dtype)}`);
  }
  if (!isSizeList(shape)) throw fail(`its shape must be a list of non-negative integers, got ${describe(shape)}`);
  if (!isSizeList(offsets) || offsets.length !== 2) {
    throw fail(`its data_offsets must be two non-negative integers, got ${describe(offsets)}`);
  }
  const [begin, end] = offsets;
  if (begin > end) throw fail(`its data_offsets must be ascending, got ${begin}..${end}`);
  if (end > dataBytes) {
    throw fileError(
      path,
      `tensor "${name}" must end at data byte ${end}, but the file ends at ${dataBytes}: it is cut off`,
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  const expected = elements * bytesPerElement(dtype);
  // A product beyond 2^53 is inexact, but then it is far from any real length as well.
  if (expected !== end - begin) {
    throw fail(`its data must be ${expected} bytes long (${dtype}, shape [${shape.join(", ")}]), got ${end - begin}`);
  }
  return { name, dtype, shape, elements, start: dataStart + begin, byteLength: end - begin };
}

function checkCoverage(path: string, sorted: readonly TensorEntry[], dataStart: number, dataBytes: number): void {
  let position = dataStart;
  for (const { name, start, byteLength } of sorted) {
    if (start !== position) {
      const kind = start < position ? "overlaps the tensor before it" : "leaves a hole before it";
      throw tensorError(
        path,
        name,
        `its data must start at offset ${position - dataStart}, got ${start - dataStart}, which ${kind}`,
      );
    }
    position += byteLength;
  }
  const covered = position - dataStart;
  if (covered !== dataBytes) {
    throw fileError(path, `its tensors must cover all ${dataBytes} data bytes, got ${covered}`);
  }
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function fileError(path: string, problem: string): WinnowError {
  return new WinnowError(
    "ERR_MODEL_FILE",
    `Cannot read "${path}" as safetensors: ${problem}. Download or convert the file again.`,
  );
}

function tensorError(path: string, name: string, problem: string): WinnowError {
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot read tensor "${name}" of "${path}": ${problem}. Download or convert the file again.`,
  );
}
