/** Keys that row i keeps (card, step 2), ascending. */
export function keptKeys(i: number, nInit: number, nLocal: number): number[] {
  const keys: number[] = [];
  for (let j = 0; j <= i; j++) if (j < nInit || i - j < nLocal) keys.push(j);
  return keys;
}

interface Stage {
  readonly max: number;
  readonly sum: number;
  readonly weighted: number[];
}

/**
 * Output of one row as the reference computes it: a softmax stage over the window (0 <= i - j < n_local), one over the sinks outside it
 * (i - j >= n_local), merged into one softmax. q `[d]`, k and v `[n][d]`, float64.
 */
export function attendRow(
  i: number,
  q: number[],
  k: number[][],
  v: number[][],
  nInit: number,
  nLocal: number,
): number[] {
  const window: number[] = [];
  const sinks: number[] = [];
  for (let j = 0; j <= i; j++) {
    if (i - j < nLocal) window.push(j);
    else if (j < nInit) sinks.push(j);
  }
  const a = stage(window, q, k, v);
  const b = stage(sinks, q, k, v);
  const max = Math.max(a.max, b.max);
  const scaleA = a.sum === 0 ? 0 : Math.exp(a.max - max);
  const scaleB = b.sum === 0 ? 0 : Math.exp(b.max - max);
  const sum = a.sum * scaleA + b.sum * scaleB;
  return a.weighted.map((x, c) => (x * scaleA + b.weighted[c] * scaleB) / sum);
}

function stage(keys: number[], q: number[], k: number[][], v: number[][]): Stage {
  const scores = keys.map((j) => q.reduce((total, x, c) => total + x * k[j][c], 0) / Math.sqrt(q.length));
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  const weighted: number[] = new Array(q.length).fill(0);
  keys.forEach((j, r) => {
    const weight = Math.exp(scores[r] - max);
    sum += weight;
    for (let c = 0; c < q.length; c++) weighted[c] += weight * v[j][c];
  });
  return { max, sum, weighted };
}
