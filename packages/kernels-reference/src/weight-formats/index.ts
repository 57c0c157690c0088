import {
  type DenseOperations,
  type DenseWeight,
  type FloatDtype,
  type LinearFormat,
  type LinearWeight,
  type WeightTarget,
  WinnowError,
} from "@winnow/core";
import { check } from "../check.js";
import { checkBitmap, decodeBitmap, encodeBitmap } from "./bitmap.js";
import { checkChannels, decodeChannels } from "./channels.js";
import { checkDense, decodeDense } from "./dense.js";
import { checkDensePanels, decodeDensePanels, encodeDensePanels } from "./dense-panel16.js";
import { checkGatedRows, decodeGatedRows } from "./gated-rows.js";
import { checkGroups, decodeGroups, encodeGroups } from "./groups.js";
import { checkInt8Panels, decodeInt8Panels, encodeInt8Panels } from "./int8-panel16.js";

interface WeightFormat<W extends LinearWeight> {
  check(operation: string, weight: W): void;
  /** Of a checked weight. */
  decode(weight: W): DenseWeight;
}

const weightFormats: { readonly [F in LinearFormat]: WeightFormat<Extract<LinearWeight, { format: F }>> } = {
  dense: { check: checkDense, decode: decodeDense },
  "dense-panel16": { check: checkDensePanels, decode: decodeDensePanels },
  "int8-panel16": { check: checkInt8Panels, decode: decodeInt8Panels },
  bitmap: { check: checkBitmap, decode: decodeBitmap },
  groups: { check: checkGroups, decode: decodeGroups },
  channels: { check: checkChannels, decode: decodeChannels },
  "gated-rows": { check: checkGatedRows, decode: decodeGatedRows },
};

/** The formats that this package takes: all there are. */
export const formats = Object.keys(weightFormats) as readonly LinearFormat[];

export const weightOperations: Pick<DenseOperations, "packWeight" | "encodeWeight" | "decodeWeight"> = {
  packWeight(weight, dtype) {
    checkDense("packWeight", weight);
    checkDtype("packWeight", "dtype", dtype);
    return encodeDensePanels(weight, dtype);
  },
  encodeWeight,
  decodeWeight,
};

function encodeWeight(weight: DenseWeight, target: WeightTarget): LinearWeight {
  checkDense("encodeWeight", weight);
  switch (target.format) {
    case "dense-panel16":
      checkDtype("encodeWeight", "target.dtype", target.dtype);
      return encodeDensePanels(weight, target.dtype);
    case "int8-panel16":
      return encodeInt8Panels(weight);
    case "bitmap": {
      const known = target.dtype === "bf16" || target.dtype === "int8";
      check(known, "encodeWeight", "target.dtype", 'be "bf16" or "int8"', target.dtype);
      return encodeBitmap(weight, target.dtype);
    }
    case "groups":
      return encodeGroups(weight, target.keep, target.of);
    default:
      return unknownTarget(target);
  }
}

function decodeWeight(weight: LinearWeight): DenseWeight {
  checkWeight("decodeWeight", weight);
  return formatOf(weight).decode(weight);
}

/** Sizes of the dense formats, O(1); of the others also the contents, as far as a kernel relies on them. */
export function checkWeight(operation: string, weight: LinearWeight): void {
  check(formats.includes(weight.format), operation, "weight.format", `be one of ${formats.join(", ")}`, weight.format);
  formatOf(weight).check(operation, weight);
}

function formatOf(weight: LinearWeight): WeightFormat<LinearWeight> {
  return weightFormats[weight.format] as WeightFormat<LinearWeight>;
}

function checkDtype(operation: string, argument: string, dtype: FloatDtype): void {
  check(dtype === "f32" || dtype === "bf16", operation, argument, 'be "f32" or "bf16"', dtype);
}

function unknownTarget({ format }: { format: string }): never {
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot run encodeWeight: target.format must be dense-panel16, int8-panel16, bitmap or groups, got ${format}.`,
  );
}
