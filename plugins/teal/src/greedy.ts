import { WinnowError } from "@winnow/core";

/** Shares of q, k, v, o, gate, up and down. */
export type Shares = readonly number[];

export interface GreedyStep {
  /** Mean of the shares, weighted by parameters. */
  readonly sparsity: number;
  /** Error of the layer's output with these shares. */
  readonly error: number;
  /** The same with `sparsity` as the share of every matrix. */
  readonly uniformError: number;
  readonly shares: Shares;
}

export interface GreedyOptions {
  /** Parameters of each matrix, in any unit. */
  readonly parameters: readonly number[];
  /** Share that one step adds to a matrix as large as the first; others get it in proportion, so that each step removes as many parameters. */
  readonly step: number;
  readonly targetSparsity: number;
}

/** Steps are sums of many shares, so the target counts as reached this close to it. */
const CLOSE = 1e-9;

/**
 * Greedy allocation in one layer (paper Algorithm 1): from all dense on, each step raises the share of the matrix whose raise costs the least error;
 * the first in order wins ties. Yields shares to try, takes the error of each, and returns one row for each step.
 */
export function* greedySearch({
  parameters,
  step,
  targetSparsity,
}: GreedyOptions): Generator<Shares, GreedyStep[], number> {
  const relative = parameters.map((count) => count / parameters[0]);
  const steps: GreedyStep[] = [];
  let shares: Shares = parameters.map(() => 0);
  while (effectiveSparsity(shares, relative) < targetSparsity - CLOSE) {
    let best: { shares: Shares; error: number } | undefined;
    for (let p = 0; p < shares.length; p++) {
      if (shares[p] >= 1) continue;
      const candidate = shares.with(p, shares[p] + step / relative[p]);
      const error = requireFinite(yield candidate);
      if (!best || error < best.error) best = { shares: candidate, error };
    }
    const sparsity = effectiveSparsity(best!.shares, relative);
    const uniformError = requireFinite(yield shares.map(() => sparsity));
    steps.push({ ...best!, sparsity, uniformError });
    shares = best!.shares;
  }
  return steps;
}

export function effectiveSparsity(shares: Shares, parameters: readonly number[]): number {
  const removed = shares.reduce((sum, share, p) => sum + share * parameters[p], 0);
  return removed / parameters.reduce((sum, count) => sum + count, 0);
}

/** Mean over channels of the L2 norm, along tokens from `firstToken` on, of the difference; `[tokens, width]` each. */
export function activationError(dense: Float32Array, sparse: Float32Array, width: number, firstToken: number): number {
  const sums = new Float64Array(width);
  for (let start = firstToken * width; start < dense.length; start += width)
    for (let c = 0; c < width; c++) sums[c] += (dense[start + c] - sparse[start + c]) ** 2;
  return sums.reduce((sum, square) => sum + Math.sqrt(square), 0) / width;
}

function requireFinite(error: number): number {
  if (Number.isFinite(error)) return error;
  throw new WinnowError(
    "ERR_NON_FINITE",
    `Cannot tune teal: the error of a layer's output must be a number, got ${error}. Check the model's weights.`,
  );
}
