/** Share of a matrix's weights that is not read, and share of the rest that goes to exact channels. */
export interface Setting {
  readonly sparsity: number;
  readonly ratio: number;
}

export interface Budget {
  /** sparse: exact channels alone; low-rank: factors alone; both. */
  readonly mode: "sparse" | "low-rank" | "both";
  /** C: input channels that are exact, on average. */
  readonly channels: number;
  /** r: rank of the factors. */
  readonly rank: number;
  /** tau: share of the input channels that is not exact. */
  readonly channelSparsity: number;
}

/**
 * Channels C = floor(in (1 - s) rho) and rank r = floor((in out (1 - s) - C out) / (in + out)) of an `[out, in]` matrix, so that
 * C out + r (in + out) <= in out (1 - s). The reference takes at least `least` of both: 1 with a table, else 0.
 */
export function budgetOf(outFeatures: number, inFeatures: number, { sparsity, ratio }: Setting, least: 0 | 1): Budget {
  const channels = Math.max(least, Math.floor(inFeatures * (1 - sparsity) * ratio));
  const rest = inFeatures * outFeatures * (1 - sparsity) - channels * outFeatures;
  return {
    mode: ratio === 1 ? "sparse" : ratio === 0 ? "low-rank" : "both",
    channels,
    rank: ratio === 1 ? 0 : Math.max(least, Math.floor(rest / (inFeatures + outFeatures))),
    channelSparsity: 1 - (1 - sparsity) * ratio,
  };
}
