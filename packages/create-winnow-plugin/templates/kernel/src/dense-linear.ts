import {
  type DenseWeight,
  floatValues,
  type KernelInstance,
  type LinearWeight,
  type Operations,
  sharedFloats,
  WinnowError,
  weightBytes,
} from "@winnow/core";

/** The family of `linear` for dense weights in float32; other formats are refused. */
export function denseLinear(): KernelInstance {
  return {
    isa: "javascript",
    operations: {
      packWeight: shareFloats,
      encodeWeight: (_, { format }) => refuse(format),
      decodeWeight: denseOnly,
      linear,
      gatedLinear: ({ length }) => refuse(`gated-rows (${length} inputs)`),
    },
    close: () => undefined,
  };
}

/** Row-major in memory that all workers see. */
function shareFloats(weight: DenseWeight): DenseWeight {
  const values = floatValues(weight);
  const data = sharedFloats("f32", values.length);
  data.set(values);
  return { ...weight, dtype: "f32", data };
}

/** `out[r, o] = bias[o] + sum_i x[r, i] * weight[o, i]`; each row of the matrix is read once for all rows of x. O(rows * out * in). */
const linear: Operations["linear"] = (x, rows, weight, out, accumulate = false) => {
  const { data, inFeatures, outFeatures, bias } = denseOnly(weight);
  requireLength("x", x, rows * inFeatures);
  requireLength("out", out, rows * outFeatures);
  for (let o = 0; o < outFeatures; o++) {
    for (let r = 0; r < rows; r++) {
      const sum = (bias?.[o] ?? 0) + dot(x, r * inFeatures, data, o * inFeatures, inFeatures);
      const at = r * outFeatures + o;
      out[at] = accumulate ? out[at] + sum : sum;
    }
  }
  return rows === 0 ? 0 : weightBytes(weight);
};

/** Four sums at a time, so that one addition need not wait for the one before it. */
function dot(x: Float32Array, xStart: number, y: ArrayLike<number>, yStart: number, length: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    a += x[xStart + i] * y[yStart + i];
    b += x[xStart + i + 1] * y[yStart + i + 1];
    c += x[xStart + i + 2] * y[yStart + i + 2];
    d += x[xStart + i + 3] * y[yStart + i + 3];
  }
  for (; i < length; i++) a += x[xStart + i] * y[yStart + i];
  return a + b + (c + d);
}

function denseOnly(weight: LinearWeight): DenseWeight {
  return weight.format === "dense" && weight.dtype === "f32" ? weight : refuse(`${weight.format} of ${weight.dtype}`);
}

function requireLength(name: string, array: Float32Array, needed: number): void {
  if (Number.isSafeInteger(needed) && needed >= 0 && array.length >= needed) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot run linear: ${name} must hold ${needed} numbers, got ${array.length}.`,
  );
}

function refuse(format: string): never {
  throw new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot multiply with weights in ${format}: these kernels take dense float32. Use another kernel package for linear.`,
  );
}
