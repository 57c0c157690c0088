import type { Selection } from "@winnow/core";
import { checkPart, checkPartArray } from "./check.js";
import { topK } from "./selection.js";

/** The entries of x that a checked selection keeps, ascending. Scores are float32; NaN is kept, so that it is seen in the result. */
export function selectEntries(selection: Selection, x: Float32Array): Int32Array {
  const { scale } = selection;
  const scores = x.map((value, j) => {
    const score = Math.abs(value) * (scale ? scale[j] : 1);
    return Number.isNaN(score) ? Number.POSITIVE_INFINITY : score;
  });
  if (selection.rule === "threshold") {
    const { thresholds } = selection;
    return indicesWhere(x.length, (j) => scores[j] > thresholds[thresholds.length === 1 ? 0 : j]);
  }
  return topK(scores, selection.keep).filter((j) => x[j] !== 0);
}

export function checkSelection(operation: string, selection: Selection, entries: number): void {
  const { scale } = selection;
  if (scale) {
    checkPartArray(operation, "selection.scale", scale, Float32Array, entries);
    const bad = scale.findIndex((value) => !(Number.isFinite(value) && value >= 0));
    checkPart(bad < 0, operation, `selection.scale[${bad}]`, "be finite and not negative", scale[bad]);
  }
  if (selection.rule === "threshold") checkThresholds(operation, selection.thresholds, entries);
  else if (selection.rule === "largest") {
    const { keep } = selection;
    const fits = Number.isInteger(keep) && keep >= 0 && keep <= entries;
    checkPart(fits, operation, "selection.keep", `be an integer in 0..${entries}`, keep);
  } else {
    const { rule } = selection as { rule: unknown };
    checkPart(false, operation, "selection.rule", 'be "threshold" or "largest"', rule);
  }
}

function checkThresholds(operation: string, thresholds: Float32Array, entries: number): void {
  const fits = thresholds instanceof Float32Array && [1, entries].includes(thresholds.length);
  checkPart(fits, operation, "selection.thresholds", `be a Float32Array of 1 or ${entries} elements`, thresholds);
  const bad = thresholds.findIndex(Number.isNaN);
  checkPart(bad < 0, operation, `selection.thresholds[${bad}]`, "be a number", Number.NaN);
}

function indicesWhere(length: number, holds: (index: number) => boolean): Int32Array {
  const indices: number[] = [];
  for (let index = 0; index < length; index++) if (holds(index)) indices.push(index);
  return Int32Array.from(indices);
}
