import {
  type BitmapWeight,
  type DensePanelWeight,
  type DenseWeight,
  type FloatDtype,
  type GroupsWeight,
  type Int8PanelWeight,
  type LinearWeight,
  PANEL,
  panelElements,
  placeBits,
  sharedFloats,
  type WeightTarget,
} from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check } from "../check.js";
import { checkFloats, require as requireFormat, requireGroups } from "./check-weight.js";

const operation = "encodeWeight";

/** `DenseOperations.encodeWeight`. */
export function encodeWeight(kernels: NativeKernels, weight: DenseWeight, target: WeightTarget): LinearWeight {
  check(typeof target === "object" && target !== null, operation, "target", "be a WeightTarget", target);
  checkFloats(operation, weight);
  check(weight.format === "dense", operation, "weight.format", 'be "dense"', weight.format);
  switch (target.format) {
    case "dense-panel16":
      checkDtype(target.dtype, ["f32", "bf16"]);
      requireFinite(kernels, weight, target.dtype);
      return packPanels(kernels, weight, target.dtype);
    case "int8-panel16":
      return quantizePanels(kernels, weight);
    case "bitmap":
      checkDtype(target.dtype, ["bf16", "int8"]);
      return encodeBitmap(kernels, weight, target.dtype);
    case "groups":
      return encodeGroups(kernels, weight, target.keep, target.of);
    default: {
      const { format } = target as { format: unknown };
      const expected = "be dense-panel16, int8-panel16, bitmap or groups";
      check(false, operation, "target.format", expected, format);
      throw format;
    }
  }
}

function checkDtype(dtype: string, allowed: readonly string[]): void {
  check(allowed.includes(dtype), operation, "target.dtype", `be ${allowed.join(" or ")}`, dtype);
}

/** A dense weight as `dense-panel16`. */
export function packPanels(kernels: NativeKernels, weight: DenseWeight, dtype: FloatDtype): DensePanelWeight {
  const { outFeatures, inFeatures } = weight;
  const data = sharedFloats(dtype, panelElements(dtype, outFeatures, inFeatures));
  kernels.packWeight({ data: weight.data, outFeatures, inFeatures, packed: data });
  return { format: "dense-panel16", dtype, ...shapeOf(weight), data };
}

function quantizePanels(kernels: NativeKernels, weight: DenseWeight): Int8PanelWeight {
  const { outFeatures, inFeatures } = weight;
  requireFormat(inFeatures <= 2 ** 17, operation, `int8 takes at most 131072 inFeatures, got ${inFeatures}`);
  requireFinite(kernels, weight, "f32");
  const data = new Int8Array(new SharedArrayBuffer(panelElements("int8", outFeatures, inFeatures)));
  const scales = new Float32Array(new SharedArrayBuffer(4 * outFeatures));
  const sums = new Int32Array(new SharedArrayBuffer(4 * outFeatures));
  kernels.quantizeWeight({ data: weight.data, outFeatures, inFeatures, packed: data, scales, sums });
  return { format: "int8-panel16", dtype: "int8", ...shapeOf(weight), data, scales, sums };
}

/** What is not zero in the dense panels of the same type, in two passes: only after the first is it known how many that are. */
function encodeBitmap(kernels: NativeKernels, weight: DenseWeight, dtype: "bf16" | "int8"): BitmapWeight {
  if (dtype === "bf16") requireFinite(kernels, weight, "bf16");
  const {
    data,
    format: _,
    ...rest
  } = dtype === "int8" ? quantizePanels(kernels, weight) : packPanels(kernels, weight, "bf16");
  const panels = Math.ceil(weight.outFeatures / PANEL);
  const bitmap = new Uint32Array(new SharedArrayBuffer(data.length / 8));
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (panels + 1)));
  const fields = { dtype, panels, panelElements: data.length / panels, data, bitmap, offsets };
  const fits = kernels.storeNonZeros(fields);
  requireFormat(fits, operation, "at most 4294967295 elements may be other than zero");
  const stored = offsets[panels];
  const values =
    dtype === "int8"
      ? new Int8Array(new SharedArrayBuffer(stored + 64))
      : new Uint16Array(new SharedArrayBuffer(2 * stored + 64));
  kernels.storeNonZeros({ ...fields, values });
  return { ...rest, format: "bitmap", dtype, bitmap, values, offsets };
}

function encodeGroups(kernels: NativeKernels, weight: DenseWeight, keep: number, of: number): GroupsWeight {
  requireGroups(operation, keep, of);
  requireFinite(kernels, weight, "bf16");
  const { outFeatures, inFeatures, data } = weight;
  const groups = Math.ceil(inFeatures / of);
  const slots = Math.ceil(outFeatures / PANEL) * groups * keep;
  const values = new Uint16Array(new SharedArrayBuffer(2 * slots * PANEL));
  const places = new Uint32Array(new SharedArrayBuffer(4 * slots * placeBits(of).words));
  const crowded = kernels.encodeGroups({ data, outFeatures, inFeatures, keep, of, values, places });
  const [row, group] = [Math.floor(crowded / groups), crowded % groups];
  const problem = `row ${row} has more than ${keep} of ${of} elements other than zero in group ${group} (inputs from ${group * of} on)`;
  requireFormat(crowded < 0, operation, problem);
  return { format: "groups", dtype: "bf16", ...shapeOf(weight), keep, of, values, places };
}

function requireFinite(kernels: NativeKernels, weight: DenseWeight, to: FloatDtype): void {
  const { data, outFeatures, inFeatures } = weight;
  const place = kernels.firstNotFinite({ data, outFeatures, inFeatures, to });
  const [row, input] = [Math.floor(place / inFeatures), place % inFeatures];
  requireFormat(
    place < 0,
    operation,
    `the element of row ${row} and input ${input} is NaN, infinite or too large for ${to}`,
  );
}

function shapeOf({ outFeatures, inFeatures, bias }: DenseWeight) {
  return { outFeatures, inFeatures, ...(bias && { bias: sharedCopy(bias) }) };
}

function sharedCopy(values: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}
