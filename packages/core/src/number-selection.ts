import { z } from "zod";
import { option } from "./options.js";
import type { OptionProblem } from "./plugin.js";

const partError = 'must be a number or a range like "0-3"';
const unionError = 'must be a number, a range like "0-3", or a list of these';

const one = z.int(partError).min(0, partError);
const range = z
  .string()
  .regex(/^\d{1,6}(-\d{1,6})?$/, { error: partError, abort: true })
  .refine(isAscending, 'must have its smaller number first, like "0-3"');

function isAscending(range: string): boolean {
  const [first, last = first] = range.split("-").map(Number);
  return first <= last;
}

/** Layers or heads: one number, `"0-3"` (both ends included), or a list of these. */
export type NumberSelection = number | string | readonly (number | string)[];

/** Schema of a {@link NumberSelection}. Whether the model has what is selected is checked later, see {@link selectionProblems}. */
export function selectionSchema(description: string) {
  return option(
    z.union([one, range, z.array(z.union([one, range], { error: partError })).min(1, unionError)], {
      error: unionError,
    }),
    { description: `${description}: a number, a range like "0-3" (both ends included), or a list of these.` },
  );
}

/** Numbers of a selection, ascending, without repeats; or the first part of it that runs backwards or leaves 0..limit-1. */
export function expandSelection(
  selection: NumberSelection,
  limit: number,
): { readonly numbers: number[]; readonly outside?: string | number } {
  const numbers = new Set<number>();
  for (const part of typeof selection === "object" ? selection : [selection]) {
    const [first, last = first] = typeof part === "number" ? [part] : part.split("-").map(Number);
    if (first > last || last >= limit) return { numbers: [], outside: part };
    for (let n = first; n <= last; n++) numbers.add(n);
  }
  return { numbers: [...numbers].sort((a, b) => a - b) };
}

/** For a plugin's `check`: the selections that leave 0..limit-1. `pathOf` gives the place of a selection inside the options; `what`: `layers`, ... */
export function selectionProblems(
  selections: readonly NumberSelection[],
  limit: number,
  what: string,
  pathOf: (index: number) => OptionProblem["path"],
): OptionProblem[] {
  return selections.flatMap((selection, index) => {
    const { outside } = expandSelection(selection, limit);
    if (outside === undefined) return [];
    return [
      {
        path: pathOf(index),
        message: `must select ${what} in 0..${limit - 1}, first before last, got ${JSON.stringify(outside)}`,
      },
    ];
  });
}

/** For each of 0..limit-1 the index of the last selection that holds it, -1 where none does. */
export function lastSelections(selections: readonly NumberSelection[], limit: number): number[] {
  const last = new Array<number>(limit).fill(-1);
  for (const [index, selection] of selections.entries())
    for (const number of expandSelection(selection, limit).numbers) last[number] = index;
  return last;
}
