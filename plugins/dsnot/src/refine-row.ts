import { growList, type Prune, type Row } from "./row.js";

export interface RefineOptions {
  readonly maxCycles: number;
  readonly updateThreshold: number;
  /** A swap that turns the sign of the error is not made, and ends the row. */
  readonly sameSign: boolean;
}

/**
 * Moves the mask of one row (Algorithm 1): while the expected error is above the threshold, revives the pruned weight that lowers it best per variance
 * and removes the one that `pruneOf` picks. Stops where no candidate is left, so that the row's count never changes. A swap may enlarge the error.
 * O(in log in) once, then one pick per swap.
 */
export function refineRow(row: Row, pruneOf: (row: Row) => Prune, options: RefineOptions): void {
  const { kept, contributions } = row;
  const { maxCycles, updateThreshold, sameSign } = options;
  let { error } = row;
  if (Math.abs(error) <= updateThreshold) return;
  const [grow, prune] = [growList(row), pruneOf(row)];
  for (let cycle = 0; cycle < maxCycles && Math.abs(error) > updateThreshold; cycle++) {
    const grown = grow(error);
    const pruned = grown === undefined ? undefined : prune(error, grown);
    if (grown === undefined || pruned === undefined) return;
    const after = error + contributions[pruned] - contributions[grown];
    if (sameSign && Math.sign(after) !== Math.sign(row.error)) return;
    kept[grown] = 1;
    kept[pruned] = 0;
    error = after;
  }
}
