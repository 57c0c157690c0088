/** Threshold by counting, O(n^2): the smallest magnitude that the wanted number of values do not exceed. */
export function oracleAbsoluteThreshold(values: number[], share: number): number {
  const magnitudes = values.map(Math.abs);
  const wanted = Math.floor(values.length * share);
  if (wanted === 0) return 0;
  return Math.min(...magnitudes.filter((t) => magnitudes.filter((value) => value <= t).length >= wanted));
}

/** `[out]`: W (x masked) + bias, in float64. */
export function oracleProduct(weight: number[][], x: number[], threshold: number, bias?: ArrayLike<number>): number[] {
  return weight.map((row, o) =>
    row.reduce((sum, w, j) => (Math.abs(x[j]) > threshold ? sum + w * x[j] : sum), bias?.[o] ?? 0),
  );
}

/** Greedy search over all that one step can change, by its definition; `errorOf` is asked for every choice again. */
export function oracleGreedy(
  parameters: number[],
  step: number,
  target: number,
  errorOf: (shares: number[]) => number,
): number[][] {
  const total = parameters.reduce((a, b) => a + b);
  const rows: number[][] = [];
  const shares = parameters.map(() => 0);
  for (let removed = 0; removed / total < target - 1e-9; removed += step * parameters[0]) {
    const raised = (p: number) =>
      shares.map((share, q) => (p === q ? share + (step * parameters[0]) / parameters[p] : share));
    const open = parameters.map((_, p) => p).filter((p) => shares[p] < 1);
    const errors = open.map((p) => errorOf(raised(p)));
    const chosen = open[errors.indexOf(Math.min(...errors))];
    shares.splice(0, shares.length, ...raised(chosen));
    rows.push([...shares]);
  }
  return rows;
}
