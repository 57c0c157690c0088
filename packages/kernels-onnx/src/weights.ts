import type { LinearWeight } from "@winnow/core";
import { fromBf16, panelElements, WinnowError } from "@winnow/core";

const PANEL = 16;

/**
 * Row-major float32 `[outFeatures, inFeatures]` of a `dense` or `dense-panel16` weight, whatever its type. Float32 `dense` data are returned
 * as they are, anything else is copied. Expects a checked weight.
 */
export function denseRows(weight: LinearWeight): Float32Array {
  const { data, dtype, outFeatures, inFeatures } = weight;
  if (weight.format === "dense" && data instanceof Float32Array) return data;
  const rows = new Float32Array(outFeatures * inFeatures);
  const place = weight.format === "dense" ? undefined : panelPlace(weight);
  for (let o = 0, i = 0; o < outFeatures; o++) {
    for (let c = 0; c < inFeatures; c++, i++) {
      const value = data[place ? place(o, c) : i];
      rows[i] = dtype === "bf16" ? fromBf16(value) : value;
    }
  }
  return rows;
}

/** Index of element (out, in) in panel data, see `DensePanelWeight`. */
function panelPlace({ dtype, inFeatures }: LinearWeight): (o: number, c: number) => number {
  const pairs = Math.ceil(inFeatures / 2);
  return dtype === "bf16"
    ? (o, c) => ((Math.floor(o / PANEL) * pairs + (c >> 1)) * PANEL + (o % PANEL)) * 2 + (c & 1)
    : (o, c) => (Math.floor(o / PANEL) * inFeatures + c) * PANEL + (o % PANEL);
}

/** Throws `ERR_KERNEL_UNSUPPORTED` on a format that this package does not run, `ERR_OPERATION_ARGUMENT` on sizes that do not fit. */
export function checkWeight(weight: LinearWeight): void {
  const { format, dtype, outFeatures, inFeatures, data, bias } = weight;
  if (format !== "dense" && format !== "dense-panel16") {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `ONNX Runtime runs weights of format dense and dense-panel16, got "${format}". Use a kernel package that takes this format.`,
    );
  }
  const elements = format === "dense" ? outFeatures * inFeatures : panelElements(dtype, outFeatures, inFeatures);
  const isFloat32 = data instanceof Float32Array;
  const fits =
    outFeatures >= 1 &&
    inFeatures >= 1 &&
    data.length === elements &&
    isFloat32 === (dtype === "f32") &&
    (!bias || bias.length === outFeatures);
  if (fits) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot read a ${format} weight of ${outFeatures} x ${inFeatures} (${dtype}): expected ${elements} elements and ${outFeatures} biases or none, got ${data.length} elements${bias ? ` and ${bias.length} biases` : ""} in a ${data.constructor.name}. Pack the weight again.`,
  );
}
