import { option } from "@winnow/core";
import { z } from "zod";

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

/** Layers or heads of an override: one number, `"0-3"` (both ends included), or a list of these. */
export function selectionSchema(description: string) {
  return option(
    z.union([one, range, z.array(z.union([one, range], { error: partError })).min(1, unionError)], {
      error: unionError,
    }),
    { description: `${description}: a number, a range like "0-3" (both ends included), or a list of these.` },
  );
}

export type Selection = number | string | readonly (number | string)[];

/** Numbers of a selection, ascending, without repeats; or the first part of it that runs backwards or leaves 0..limit-1. */
export function expandSelection(
  selection: Selection,
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
