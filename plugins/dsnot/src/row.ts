/** One output while its mask moves. All arrays `[in]`. */
export interface Row {
  /** 1 = kept; changed in place. */
  readonly kept: Uint8Array;
  /** c_j = W_ij * S_j: what the weight adds to the expected output. */
  readonly contributions: Float64Array;
  /** c_j / V_j^p. */
  readonly growKeys: Float64Array;
  /** Wanda's scores. */
  readonly wanda: Float32Array;
  /** The scores that made the mask. */
  readonly scores: Float32Array;
  /** Expected dense minus sparse output before the first swap. */
  readonly error: number;
}

/** The next weight to revive against an error of this sign; undefined: none is left. */
export type Grow = (error: number) => number | undefined;

/** The weight to remove for a revived one; undefined: none is left. */
export type Prune = (error: number, grown: number) => number | undefined;

/**
 * The pruned weights in one stable ascending order of c / V^p, read from its end (largest positive) where the error is positive and from its start
 * (most negative) otherwise. Every weight is handed out once; those with c = 0 never.
 */
export function growList({ kept, contributions, growKeys }: Row): Grow {
  const pruned = indices(kept.length, (j) => kept[j] === 0 && contributions[j] !== 0);
  const order = pruned.sort((a, b) => growKeys[a] - growKeys[b] || a - b);
  let [low, high] = [0, order.length - 1];
  return (error) => {
    const j = error > 0 ? order[high] : order[low];
    if (j === undefined || contributions[j] > 0 !== error > 0) return undefined;
    if (error > 0) high--;
    else low++;
    return j;
  };
}

/** Kept weights in ascending Wanda score, apart by the sign of c: positive ones where the error is negative, negative ones otherwise. */
export function pruneBySign({ kept, contributions, wanda }: Row): Prune {
  const ascending = (list: number[]) => list.sort((a, b) => wanda[a] - wanda[b] || a - b).values();
  const positive = ascending(indices(kept.length, (j) => kept[j] === 1 && contributions[j] > 0));
  const negative = ascending(indices(kept.length, (j) => kept[j] === 1 && contributions[j] < 0));
  return (error) => (error < 0 ? positive : negative).next().value;
}

/** The kept weight with the lowest initial score in the revived one's group, whatever the sign of c. Revived weights are never removed. */
export function pruneInGroup({ kept, scores }: Row, of: number): Prune {
  const removable = kept.slice();
  return (_, grown) => {
    const start = grown - (grown % of);
    let lowest: number | undefined;
    for (let j = start; j < Math.min(start + of, scores.length); j++) {
      if (removable[j] === 1 && (lowest === undefined || scores[j] < scores[lowest])) lowest = j;
    }
    if (lowest !== undefined) removable[lowest] = 0;
    return lowest;
  };
}

function indices(length: number, where: (j: number) => boolean): number[] {
  const found: number[] = [];
  for (let j = 0; j < length; j++) if (where(j)) found.push(j);
  return found;
}
