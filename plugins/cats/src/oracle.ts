const silu = (x: number) => x / (1 + Math.exp(-x));
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);

export interface OracleMlp {
  /** `[neurons][hidden]`. */
  readonly gate: number[][];
  readonly up: number[][];
  /** `[hidden][neurons]`. */
  readonly down: number[][];
}

/** `down(a' * up(x))` with a = silu(gate(x)) and a' = a, but 0 where |a| <= threshold: the whole MLP, masked, in float64. */
export function oracleMlp({ gate, up, down }: OracleMlp, x: number[], threshold: number): number[] {
  const a = gate.map((row) => silu(dot(row, x))).map((value) => (Math.abs(value) <= threshold ? 0 : value));
  const h = a.map((value, i) => value * dot(up[i], x));
  return down.map((row) => dot(row, h));
}

/** Threshold by counting, O(count^2): exact is the smallest value that the wanted number of values do not exceed. */
export function oracleThreshold(values: number[], sparsity: number, quantile: "exact" | "histogram"): number {
  const magnitudes = values.map(Math.abs);
  const share = (holds: (value: number) => boolean) => magnitudes.filter(holds).length;
  if (quantile === "exact") {
    const wanted = Math.floor(values.length * sparsity);
    const reached = magnitudes.filter((t) => share((value) => value <= t) >= wanted);
    return wanted === 0 ? 0 : Math.min(...reached);
  }
  const edges = Array.from({ length: 998 }, (_, e) => -1 + (2 * e) / 997);
  // The bin right of edge e ends at the next edge; the last has no end.
  const found = edges.find((_, e) => share((value) => value < (edges[e + 1] ?? Infinity)) > values.length * sparsity);
  return found ?? 1;
}
