import { type FloatData, type LinearWeight, type Operations, WinnowError, weightBytes } from "@winnow/core";
import { type BitmaskMatrix, readBitmask } from "./bitmask.js";
import { asFloatData, type StoredFloat } from "./float-convert.js";
import type { StoredTensor } from "./folder.js";
import { readTensorPart } from "./safetensors.js";
import { type MagnitudeBin, ZeroStatistics } from "./zero-statistics.js";

export type { MagnitudeBin } from "./zero-statistics.js";

/** What a matrix holds and what it costs. Plain data. */
export interface WeightReport {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** `plain` for a tensor of the file, `sparse-bitmask` and `sparse-24-bitmask` for one of an older sparse checkpoint, otherwise the weight's format. */
  readonly format: "plain" | BitmaskMatrix["format"] | LinearWeight["format"];
  /** As the file or the weight calls it: F32, F16, BF16; f32, bf16, int8. */
  readonly dtype: string;
  /** -0 counts as zero. */
  readonly zeros: number;
  /** 0..1. */
  readonly zeroShare: number;
  /** N:M patterns (at most N of each M neighbours along a row are not zero) that hold, the sparsest first. */
  readonly patterns: readonly string[];
  /** Rows, that is outputs, without any weight. */
  readonly emptyRows: number;
  /** As stored, without bias. */
  readonly bytes: number;
  /** As dense bf16. */
  readonly denseBytes: number;
  /** Non-zero weights by magnitude, ascending; bins without any are left out. */
  readonly histogram: readonly MagnitudeBin[];
}

/** Rows of a tensor are read in pieces of about this size. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** Report of a plain matrix of a model file; only a piece of it is in memory at once. Errors: `ERR_MODEL_TENSOR`, `ERR_MODEL_FILE`. */
export function tensorReport({ file, entry }: StoredTensor): WeightReport {
  const { dtype, shape } = entry;
  const [outFeatures, inFeatures] = shape;
  if (shape.length !== 2 || entry.elements === 0 || !["F32", "F16", "BF16"].includes(dtype)) {
    throw new WinnowError(
      "ERR_MODEL_TENSOR",
      `Cannot report on "${entry.name}" of "${file.path}": it must be a matrix of F32, F16 or BF16, got ${dtype} of shape [${shape.join(", ")}].`,
    );
  }
  const statistics = new ZeroStatistics(inFeatures);
  const rowBytes = entry.byteLength / outFeatures;
  const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes)) * rowBytes;
  const piece = new Uint8Array(Math.min(step, entry.byteLength));
  for (let start = 0; start < entry.byteLength; start += step) {
    const bytes = piece.subarray(0, Math.min(step, entry.byteLength - start));
    readTensorPart(file, entry, start, bytes);
    statistics.add(asFloatData(dtype as StoredFloat, bytes));
  }
  return makeReport({ outFeatures, inFeatures, format: "plain", dtype, bytes: entry.byteLength }, statistics);
}

/** Report of a matrix of an older sparse checkpoint; the whole matrix is in memory. Errors: `ERR_MODEL_TENSOR`, `ERR_MODEL_FILE`. */
export function bitmaskReport(matrix: BitmaskMatrix): WeightReport {
  const [outFeatures, inFeatures] = matrix.shape;
  const statistics = new ZeroStatistics(inFeatures);
  statistics.add(asFloatData(matrix.dtype, readBitmask(matrix)));
  const { format, dtype, compressed, bitmask, rowOffsets } = matrix;
  const bytes = [compressed, bitmask, rowOffsets].reduce((sum, part) => sum + (part?.entry.byteLength ?? 0), 0);
  return makeReport({ outFeatures, inFeatures, format, dtype, bytes }, statistics);
}

/** Report of a weight in memory; takes another dense copy of it unless it is dense. O(out * in). */
export function weightReport(weight: LinearWeight, operations: Pick<Operations, "decodeWeight">): WeightReport {
  const { outFeatures, inFeatures, format, dtype } = weight;
  const data: FloatData = format === "dense" ? weight.data : operations.decodeWeight(weight).data;
  const statistics = new ZeroStatistics(inFeatures);
  statistics.add(data);
  const bytes = weightBytes({ ...weight, bias: undefined } as LinearWeight);
  return makeReport({ outFeatures, inFeatures, format, dtype, bytes }, statistics);
}

function makeReport(
  stored: Pick<WeightReport, "outFeatures" | "inFeatures" | "format" | "dtype" | "bytes">,
  statistics: ZeroStatistics,
): WeightReport {
  const elements = stored.outFeatures * stored.inFeatures;
  return {
    ...stored,
    zeros: statistics.zeros,
    zeroShare: statistics.zeros / elements,
    patterns: statistics.patterns(),
    emptyRows: statistics.emptyRows,
    denseBytes: 2 * elements,
    histogram: statistics.histogram(),
  };
}

/**
 * Zeros from which on a bitmap is expected to be faster than the dense format of its type, by the ratio of bytes and the cost of expansion:
 * a rule of thumb, not a measurement of this machine.
 */
const BITMAP_BREAK_EVEN = { bf16: 0.35, int8: 0.45 } as const;

/** Formats that would make a plain matrix smaller and, as a rule, faster; the N:M one is that of the sparsest pattern. */
export function profitableFormats({ zeroShare, patterns }: WeightReport): readonly string[] {
  const bitmaps = (["bf16", "int8"] as const).filter((dtype) => zeroShare >= BITMAP_BREAK_EVEN[dtype]);
  return [...bitmaps.map((dtype) => `bitmap ${dtype}`), ...patterns.slice(0, 1).map((pattern) => `groups ${pattern}`)];
}
