/** Keys that row i of n keeps, ascending: rows before the strip as A-shape, the strip all (card, steps 1 to 4). */
export function keptKeys(n: number, i: number, nInit: number, nLocal: number, nLast: number): number[] {
  const firstDenseRow = n - Math.min(nLast, n - 1);
  const keys: number[] = [];
  for (let j = 0; j <= i; j++) {
    if (i >= firstDenseRow) keys.push(j);
    else if (j < nInit) keys.push(j);
    else if (i - j < nLocal) keys.push(j);
  }
  return keys;
}

/** Softmax attention of one query over the listed keys, float64; q `[d]`, k and v `[n][d]`. */
export function attend(keys: number[], q: number[], k: number[][], v: number[][]): number[] {
  const scores = keys.map((j) => q.reduce((total, x, c) => total + x * k[j][c], 0) / Math.sqrt(q.length));
  const largest = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return q.map((_, c) => keys.reduce((total, j, r) => total + weights[r] * v[j][c], 0) / sum);
}
