import { WinnowError } from "@winnow/core";
import { MICROSOFT, OnnxGraph } from "./onnx-model.js";
import { checkThreads, createSession, loadOnnxRuntime, privateView } from "./onnx-runtime.js";
import { closedError } from "./sessions.js";

export interface Int4BaselineOptions {
  /** Row-major `[outFeatures, inFeatures]`. */
  readonly weight: Float32Array;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** Products of one run, each with its own copy of the weight, so that a run reads more than caches hold. */
  readonly copies: number;
  /** Threads of each operation, the calling one included. */
  readonly threads: number;
}

/** Dense products of one row with 4-bit weights through ONNX Runtime: what a quantised model without sparsity would take. */
export interface Int4Baseline {
  /** Codes and scales that one product reads. */
  readonly bytes: number;
  /** `x * weight^T` of each copy, `[outFeatures]`; x `[inFeatures]`. Blocks the thread while it runs. */
  run(x: Float32Array): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/** Input features that share one scale. */
const BLOCK = 32;

/** The code of 0 that MatMulNBits assumes when no zero points are given. */
const ZERO_POINT = 8;

const LARGEST_CODE = 7;

/**
 * MatMulNBits, blocks of 32, symmetric, `accuracy_level` 4: activations are quantised to 8 bits by block and integers are multiplied, its fastest way on CPUs.
 * All copies are nodes of one session, so that the cost of a call spreads over them. Takes memory for `copies` times 5 bits a weight, several times that
 * while it is made. Errors: `ERR_OPERATION_ARGUMENT` for sizes that do not fit, `ERR_KERNEL_UNSUPPORTED` without onnxruntime-node or beyond 2 GiB of weights.
 */
export async function createInt4Baseline(options: Int4BaselineOptions): Promise<Int4Baseline> {
  checkThreads(options.threads);
  checkSizes(options);
  const { Tensor } = await loadOnnxRuntime();
  const { graph, bytes } = int4Graph(options);
  const session = await createSession(graph.encode(), {
    threads: options.threads,
    spinning: true,
    restAfterRun: true,
  });
  const { inFeatures, copies } = options;
  let closed = false;
  return {
    bytes,
    async run(x) {
      if (closed) throw closedError();
      checkInput(x, inFeatures);
      const results = await session.run({ x: new Tensor("float32", privateView(x, inFeatures), [1, inFeatures]) });
      return Array.from({ length: copies }, (_, copy) => results[outputName(copy)].data as Float32Array);
    },
    async close() {
      if (closed) return;
      closed = true;
      await session.release();
    },
  };
}

function int4Graph(options: Int4BaselineOptions): { graph: OnnxGraph; bytes: number } {
  const { outFeatures, inFeatures, copies } = options;
  const blocks = Math.ceil(inFeatures / BLOCK);
  const { codes, scales } = quantize(options, blocks);
  const graph = new OnnxGraph("int4");
  const x = graph.input("x", "float32", [1, inFeatures]);
  const attributes = { K: inFeatures, N: outFeatures, bits: 4, block_size: BLOCK, accuracy_level: 4 };
  for (let copy = 0; copy < copies; copy++) {
    const inputs = [
      graph.initializer(`codes${copy}`, codes, [outFeatures, blocks, BLOCK / 2]),
      graph.initializer(`scales${copy}`, scales, [outFeatures * blocks]),
    ];
    graph.nodeTo([outputName(copy)], "MatMulNBits", [x, ...inputs], attributes, MICROSOFT);
    graph.output(outputName(copy), "float32", [1, outFeatures]);
  }
  return { graph, bytes: codes.byteLength + scales.byteLength };
}

function outputName(copy: number): string {
  return `y${copy}`;
}

/** Two codes a byte, the lower input first; features beyond the last are zero. */
function quantize(
  { weight, outFeatures, inFeatures }: Int4BaselineOptions,
  blocks: number,
): { codes: Uint8Array; scales: Float32Array } {
  const codes = new Uint8Array((outFeatures * blocks * BLOCK) / 2).fill(ZERO_POINT | (ZERO_POINT << 4));
  const scales = new Float32Array(outFeatures * blocks);
  for (let row = 0, place = 0; row < weight.length; row += inFeatures) {
    for (let start = 0; start < inFeatures; start += BLOCK, place++) {
      const end = row + Math.min(start + BLOCK, inFeatures);
      scales[place] = largestMagnitude(weight, row + start, end) / LARGEST_CODE;
      if (scales[place] > 0) writeCodes(weight, row + start, end, scales[place], codes, place * BLOCK);
    }
  }
  return { codes, scales };
}

function largestMagnitude(values: Float32Array, start: number, end: number): number {
  let largest = 0;
  for (let e = start; e < end; e++) largest = Math.max(largest, Math.abs(values[e]));
  return largest;
}

/** Codes of values [start, end), the first of which is code `first`. */
function writeCodes(
  values: Float32Array,
  start: number,
  end: number,
  scale: number,
  codes: Uint8Array,
  first: number,
): void {
  for (let e = start; e < end; e++) {
    const code = ZERO_POINT + Math.round(values[e] / scale);
    const place = first + e - start;
    const byte = place >> 1;
    codes[byte] = place % 2 === 0 ? (codes[byte] & 0xf0) | code : (codes[byte] & 0x0f) | (code << 4);
  }
}

function checkSizes({ weight, outFeatures, inFeatures, copies }: Int4BaselineOptions): void {
  const positive = [outFeatures, inFeatures, copies].every((size) => Number.isInteger(size) && size >= 1);
  if (positive && weight.length === outFeatures * inFeatures) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot build an int4 baseline: outFeatures, inFeatures and copies must be integers >= 1 and the weight hold outFeatures x inFeatures values, got ${outFeatures} x ${inFeatures}, ${copies} copies and ${weight.length} values. Pass the whole matrix.`,
  );
}

function checkInput(x: Float32Array, inFeatures: number): void {
  if (x.length === inFeatures) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot multiply: x must hold ${inFeatures} values, got ${x.length}. Pass one row.`,
  );
}
