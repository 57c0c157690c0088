import type { PrunerEvent } from "./sequence-run.js";

/** Tokens of an event per head; "all" becomes an empty list, which no head may keep. */
function listsOf({ heads }: PrunerEvent): readonly (readonly number[])[] {
  return heads ?? [];
}

/** The first event that differs, in words. */
export function eventDifference(actual: readonly PrunerEvent[], expected: readonly PrunerEvent[]): string | undefined {
  for (const [index, event] of actual.entries()) {
    const [given, wanted] = [event, expected[index]].map((one) => JSON.stringify(one && listsOf(one)));
    if (given !== wanted) return event.at;
  }
  return actual.length === expected.length ? undefined : "the number of decisions";
}

/** Share of the tokens of `actual` that `expected` has not. */
export function differingShare(actual: readonly PrunerEvent[], expected: readonly PrunerEvent[]): number {
  let [different, total] = [0, 0];
  for (const [index, event] of actual.entries()) {
    const others = listsOf(expected[index]);
    for (const [head, list] of listsOf(event).entries()) {
      const other = new Set(others[head]);
      different += list.filter((token) => !other.has(token)).length;
      total += list.length;
    }
  }
  return total === 0 ? 0 : different / total;
}
