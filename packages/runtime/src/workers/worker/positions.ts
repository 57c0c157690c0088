import { createRopeTable, type RopeTable } from "@winnow/models";
import type { LoadedModel } from "../loaded-model.js";

let longer: RopeTable | undefined;

/** Rotary tables that cover `length` positions: the model's shared ones, or longer ones made here once. */
export function ropeTablesFor(model: LoadedModel, length: number): RopeTable {
  if (length <= model.rope.positions) return model.rope;
  if (longer === undefined || longer.positions < length)
    longer = createRopeTable(model.config.rope, model.config.headDim, length);
  return longer;
}

/** `[start, start + count)`. */
export function positionsFrom(start: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => start + index);
}
