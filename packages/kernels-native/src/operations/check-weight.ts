import {
  type BitmapWeight,
  type GroupsWeight,
  type Int8PanelWeight,
  type LinearWeight,
  PANEL,
  panelElements,
  placeBits,
  WinnowError,
  weightBytes,
} from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkData, checkInteger } from "../check.js";

type CompressedWeight = Int8PanelWeight | BitmapWeight | GroupsWeight;

/** Weights whose contents were found to agree, with their bytes: contents do not change, and a decoder comes by for every token. */
const checkedBytes = new WeakMap<CompressedWeight, number>();

/** {@link weightBytes} of a weight that was checked. Lengths are checked on every call, in the binding once more; contents once per object. */
export function checkCompressed(kernels: NativeKernels, operation: string, weight: CompressedWeight): number {
  const known = checkedBytes.get(weight);
  if (known !== undefined) return known;
  checkShape(operation, weight);
  if (weight.format === "groups") checkGroups(kernels, operation, weight);
  else checkPanels(kernels, operation, weight);
  const bytes = weightBytes(weight);
  checkedBytes.set(weight, bytes);
  return bytes;
}

export function checkShape(operation: string, weight: LinearWeight): void {
  check(typeof weight === "object" && weight !== null, operation, "weight", "be a LinearWeight", weight);
  const { outFeatures, inFeatures, bias } = weight;
  checkInteger(operation, "weight.outFeatures", outFeatures, 1);
  checkInteger(operation, "weight.inFeatures", inFeatures, 1);
  if (bias !== undefined) checkArray(operation, "weight.bias", bias, Float32Array, outFeatures);
}

/** A weight of format `dense` or `dense-panel16`. */
export function checkFloats(
  operation: string,
  weight: Extract<LinearWeight, { format: "dense" | "dense-panel16" }>,
): void {
  checkShape(operation, weight);
  const { format, dtype, outFeatures, inFeatures } = weight;
  const dense = outFeatures * inFeatures;
  checkData(operation, "weight", weight, format === "dense" ? dense : panelElements(dtype, outFeatures, inFeatures));
}

function checkPanels(kernels: NativeKernels, operation: string, weight: Int8PanelWeight | BitmapWeight): void {
  const { format, dtype, outFeatures, inFeatures } = weight;
  const known = dtype === "int8" || (format === "bitmap" && dtype === "bf16");
  require(known, operation, `dtype must be ${format === "bitmap" ? '"bf16" or "int8"' : '"int8"'}, got "${dtype}"`);
  const elements = panelElements(dtype, outFeatures, inFeatures);
  if (dtype === "int8") {
    require(inFeatures <= 2 ** 17, operation, `int8 takes at most 131072 inFeatures, got ${inFeatures}`);
    checkLength(operation, "scales", weight.scales, Float32Array, outFeatures);
    checkLength(operation, "sums", weight.sums, Int32Array, outFeatures);
  }
  if (weight.format === "bitmap") checkBitmap(kernels, operation, weight, elements);
  else checkLength(operation, "data", weight.data, Int8Array, elements);
  const row = dtype === "int8" ? kernels.wrongSum(weight) : -1;
  require(row < 0, operation, `sums[${row}] must be the sum of the elements of row ${row}`);
}

function checkBitmap(kernels: NativeKernels, operation: string, weight: BitmapWeight, elements: number): void {
  const { dtype, outFeatures, bitmap, values, offsets } = weight;
  const panels = Math.ceil(outFeatures / PANEL);
  checkLength(operation, "bitmap", bitmap, Uint32Array, elements / 32);
  checkLength(operation, "offsets", offsets, Uint32Array, panels + 1);
  require(offsets[0] === 0, operation, `offsets[0] must be 0, got ${offsets[0]}`);
  for (let panel = 0; panel < panels; panel++) {
    const ascends = offsets[panel] <= offsets[panel + 1];
    require(ascends, operation, `offsets must ascend, got ${offsets[panel + 1]} after ${offsets[panel]} at panel ${panel}`);
  }
  const [type, padding] = dtype === "int8" ? ([Int8Array, 64] as const) : ([Uint16Array, 32] as const);
  checkLength(operation, "values", values, type, offsets[panels] + padding);
  const panel = kernels.wrongPanel(weight);
  require(panel < 0, operation, `panel ${panel} of bitmap must have as many bits set as offsets give it values`);
}

function checkGroups(kernels: NativeKernels, operation: string, weight: GroupsWeight): void {
  const { dtype, keep, of, outFeatures, inFeatures, values, places } = weight;
  require(dtype === "bf16", operation, `dtype must be "bf16", got "${dtype}"`);
  requireGroups(operation, keep, of);
  const slots = Math.ceil(outFeatures / PANEL) * Math.ceil(inFeatures / of) * keep;
  checkLength(operation, "values", values, Uint16Array, slots * PANEL);
  checkLength(operation, "places", places, Uint32Array, slots * placeBits(of).words);
  const panel = kernels.wrongPlaces(weight);
  require(panel < 0, operation, `places of panel ${panel} must lie inside of their groups and of the row`);
}

export function requireGroups(operation: string, keep: number, of: number): void {
  require([2, 4, 8, 16].includes(of), operation, `of must be 2, 4, 8 or 16, got ${of}`);
  require(Number.isInteger(keep) && keep >= 1 && keep <= of, operation, `keep must be in 1..${of}, got ${keep}`);
}

type ArrayType = typeof Float32Array | typeof Int32Array | typeof Uint32Array | typeof Uint16Array | typeof Int8Array;

function checkLength(operation: string, part: string, array: unknown, type: ArrayType, length: number): void {
  const right = array instanceof type && array.length === length;
  const given = ArrayBuffer.isView(array)
    ? `${array.constructor.name} of ${(array as Uint8Array).length}`
    : String(array);
  require(right, operation, `${part} must be a ${type.name} of ${length} elements, got ${given}`);
}

/** Throws ERR_WEIGHT_FORMAT unless `holds`. */
export function require(holds: boolean, operation: string, problem: string): asserts holds {
  if (holds) return;
  throw new WinnowError(
    "ERR_WEIGHT_FORMAT",
    `Cannot run ${operation}: in the weight, ${problem}. Encode the matrix again.`,
  );
}
