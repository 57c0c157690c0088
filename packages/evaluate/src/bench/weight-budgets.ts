/** Rows are output features. */
export interface WeightShape {
  readonly outFeatures: number;
  readonly inFeatures: number;
}

/** How R-Sparse spends what it reads of a matrix. */
export interface RSparseBudget {
  /** Input channels that are multiplied exactly. */
  readonly channels: number;
  /** Rank of what stands in for the others. */
  readonly rank: number;
}

/**
 * `channels = floor(in (1 - s) rho)`, `rank = floor((in out (1 - s) - channels out) / (in + out))` for the share s of a matrix that is not read and the share rho of
 * the rest that goes to exact channels. Source: R-Sparse (arXiv 2504.19449), Section 3, with the true shape of the matrix.
 */
export function rSparseBudget({ outFeatures, inFeatures }: WeightShape, s: number, rho: number): RSparseBudget {
  const channels = Math.floor(inFeatures * (1 - s) * rho);
  const rest = inFeatures * outFeatures * (1 - s) - channels * outFeatures;
  return { channels, rank: Math.max(0, Math.floor(rest / (inFeatures + outFeatures))) };
}

/**
 * Copies of a weight that together have at least `workingSet` bytes to read.
 * @param bytesRead Of one product.
 */
export function copiesFor(bytesRead: number, workingSet: number): number {
  return Math.max(1, Math.ceil(workingSet / bytesRead));
}

/** The wanted bytes for each of `variants`, or less where half of the free memory does not hold them. */
export function affordableWorkingSet(wanted: number, variants: number, freeBytes: number): number {
  return Math.min(wanted, Math.floor(freeBytes / 2 / variants));
}
