import type { LinearWeight } from "@winnow/core";
import type { Matrix } from "./matrices.js";
import { checkedValues } from "./sparsifier-run.js";

/** The first element of the first matrix that differs, in words. Results must be valid. Selections and factors count as well. */
export function resultDifference(
  matrices: readonly Matrix[],
  actual: readonly LinearWeight[],
  expected: readonly LinearWeight[],
): string | undefined {
  for (const [index, matrix] of matrices.entries()) {
    const [values, others] = [actual[index], expected[index]].map((result) => checkedValues(matrix, result));
    const at = values.findIndex((value, e) => value !== others[e]);
    const { inFeatures } = matrix.weight;
    const place = `(${Math.floor(at / inFeatures)}, ${at % inFeatures}) of ${matrix.name}`;
    if (at >= 0) return `${values[at]} instead of ${others[at]} at ${place}`;
    const [extras, otherExtras] = [actual[index], expected[index]].map(extrasOf);
    if (extras !== otherExtras) return `another selection or other factors for ${matrix.name}`;
  }
  return undefined;
}

/** What a format holds besides the matrix, as text. */
function extrasOf(weight: LinearWeight): string {
  const { format } = weight;
  const selection = "selection" in weight ? weight.selection : undefined;
  const lowRank = "lowRank" in weight ? weight.lowRank : undefined;
  return JSON.stringify([format, selection, lowRank], (_, value) =>
    ArrayBuffer.isView(value) ? String(value) : value,
  );
}

/** Share of the elements that differ by more than 1 % of the largest weight. */
export function differingShare(
  matrices: readonly Matrix[],
  actual: readonly LinearWeight[],
  expected: readonly LinearWeight[],
): number {
  let [different, total] = [0, 0];
  for (const [index, matrix] of matrices.entries()) {
    const [values, others] = [actual[index], expected[index]].map((result) => checkedValues(matrix, result));
    const largest = others.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let e = 0; e < values.length; e++) if (Math.abs(values[e] - others[e]) > 0.01 * largest) different++;
    total += values.length;
  }
  return different / total;
}
