import { denseMask, headsFirst, sliceTokens } from "@winnow/core";
import { loadNative } from "@winnow/kernels-native";
import { createOnnxAttention, type OnnxAttention } from "@winnow/kernels-onnx";
import { type Conditions, conditions } from "./conditions.js";
import { interleave, type Rounds, ratioOf, type Spread } from "./measure.js";
import { type AttentionShape, causalPairs, inCache, type Operands, randomOperands } from "./operands.js";

export interface AttentionBenchOptions extends Rounds {
  readonly shapes: readonly AttentionShape[];
  readonly lengths: readonly number[];
  readonly threads: number;
}

/** `nativeBf16`: keys and values in bf16; the other two compute in float32. */
export type AttentionVariant = "nativeF32" | "nativeBf16" | "onnxF32";

export interface AttentionRow {
  readonly shape: AttentionShape;
  readonly length: number;
  readonly milliseconds: Readonly<Record<AttentionVariant, Spread>>;
  /** 4 d operations per causal pair over the median time; what a kernel computes beyond the diagonal does not count. */
  readonly gigaflops: Readonly<Record<AttentionVariant, number>>;
  /** Time of ONNX Runtime / time of the native kernel, round by round. */
  readonly onnxOverNative: { readonly f32: Spread; readonly bf16: Spread };
  /** Largest difference between the float32 outputs over the first tokens: both compute the same thing. */
  readonly difference: number;
}

export interface AttentionBench {
  readonly bench: "attention";
  readonly conditions: Conditions;
  readonly rows: readonly AttentionRow[];
}

/** Tokens on which the outputs are compared before anything is timed. */
const COMPARED_TOKENS = 512;

/**
 * Dense causal prefill attention of one layer: the native kernels and ONNX Runtime's GroupQueryAttention on the same random operands.
 * The time of ONNX Runtime includes copying its operands, O(h n d), to and from its layout. Blocks this thread while it runs.
 */
export async function benchAttention(options: AttentionBenchOptions): Promise<AttentionBench> {
  const native = loadNative({ threads: options.threads });
  const onnx = createOnnxAttention({ threads: options.threads });
  try {
    const cases = options.shapes.flatMap((shape) => options.lengths.map((length) => ({ shape, length })));
    const rows: AttentionRow[] = [];
    for (const [index, { shape, length }] of cases.entries()) {
      const onProgress = (share: number, label: string) =>
        options.onProgress?.((index + share) / cases.length, `${label}, ${length} tokens`);
      rows.push(await measure(native, onnx, shape, length, { ...options, onProgress }));
    }
    return { bench: "attention", conditions: conditions(native), rows };
  } finally {
    native.close();
    await onnx.close();
  }
}

async function measure(
  native: ReturnType<typeof loadNative>,
  onnx: OnnxAttention,
  shape: AttentionShape,
  length: number,
  rounds: Rounds,
): Promise<AttentionRow> {
  const operands = randomOperands(shape, length);
  const difference = await outputDifference(native, onnx, operands);
  const f32 = { ...operands, masks: [denseMask] };
  const bf16 = { ...f32, ...inCache(operands, "bf16") };
  const milliseconds = await interleave(
    {
      nativeF32: () => native.prefillAttention(f32),
      nativeBf16: () => native.prefillAttention(bf16),
      onnxF32: () => onnx.prefillAttention(f32),
    },
    rounds,
  );
  const { nativeF32, nativeBf16, onnxF32 } = milliseconds;
  const flops = 4 * shape.headDim * causalPairs(shape.queryHeads, length);
  const rate = ({ median }: Spread) => flops / median / 1e6;
  return {
    shape,
    length,
    milliseconds,
    gigaflops: { nativeF32: rate(nativeF32), nativeBf16: rate(nativeBf16), onnxF32: rate(onnxF32) },
    onnxOverNative: { f32: ratioOf(onnxF32, nativeF32), bf16: ratioOf(onnxF32, nativeBf16) },
    difference,
  };
}

async function outputDifference(
  native: Pick<ReturnType<typeof loadNative>, "prefillAttention">,
  onnx: OnnxAttention,
  operands: Operands,
): Promise<number> {
  const count = Math.min(operands.q.length, COMPARED_TOKENS);
  const [q, k, v] = [operands.q, operands.k, operands.v].map((x) => sliceTokens(x, 0, count));
  const outputs: Float32Array[] = [];
  for (const { prefillAttention } of [native, onnx]) {
    const output = new Float32Array(q.heads * count * q.headDim);
    const out = headsFirst(output, q.heads, count, q.headDim);
    await prefillAttention({ q, k, v, out, scale: operands.scale, masks: [denseMask] });
    outputs.push(output);
  }
  return outputs[0].reduce((largest, value, i) => Math.max(largest, Math.abs(value - outputs[1][i])), 0);
}
