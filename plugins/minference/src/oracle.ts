/** Attention map of one head in float64, q and k `[n][d]`: rows i, keys j; 0 above the diagonal. */
export function attentionMap(q: number[][], k: number[][]): number[][] {
  return q.map((query, i) => {
    const scores = k.map((key, j) => (j <= i ? dot(query, key) / Math.sqrt(query.length) : Number.NEGATIVE_INFINITY));
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  });
}

function dot(x: number[], y: number[]): number {
  let sum = 0;
  for (let c = 0; c < x.length; c++) sum += x[c] * y[c];
  return sum;
}

/** Sums of the last `rows` rows of an n x n map by key and by distance query - key. */
export function lineSums(map: number[][], rows: number): { vertical: number[]; slash: number[] } {
  const n = map.length;
  const vertical: number[] = new Array(n).fill(0);
  const slash: number[] = new Array(n).fill(0);
  for (let i = n - rows; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      vertical[j] += map[i][j];
      slash[i - j] += map[i][j];
    }
  }
  return { vertical, slash };
}

/** The `count` largest, the first `forced` before all others, ties by lower index; ascending. */
export function best(scores: number[], count: number, forced: number): number[] {
  return scores
    .map((score, index) => ({ score: index < forced ? Number.POSITIVE_INFINITY : score, index }))
    .sort((a, b) => (a.score === b.score ? a.index - b.index : b.score - a.score))
    .slice(0, count)
    .map(({ index }) => index)
    .sort((a, b) => a - b);
}

/** Blocks that each block row of the padded prompt keeps, from pooled scores; `forced`: the own block first. */
export function keptBlocks(q: number[][], k: number[][], size: number, keep: number, forced: boolean): number[][] {
  const blocks = Math.floor(q.length / size) + 1;
  const pooledQ = pool(q, size, blocks);
  const pooledK = pool(k, size, blocks);
  return Array.from({ length: Math.ceil(q.length / size) }, (_, a) => {
    const scores = Array.from({ length: a + 1 }, (_, b) =>
      forced && b === a ? Number.POSITIVE_INFINITY : dot(pooledQ[a], pooledK[b]),
    );
    return best(scores, Math.min(keep, a + 1), 0);
  });
}

function pool(x: number[][], size: number, blocks: number): number[][] {
  return Array.from({ length: blocks }, (_, block) =>
    x[0].map((_, c) => {
      let sum = 0;
      for (let t = block * size; t < Math.min(x.length, (block + 1) * size); t++) sum += x[t][c];
      return sum / size;
    }),
  );
}

/** Recall of an exact mask: mean over rows >= firstRow of the attention that the mask keeps. */
export function recall(map: number[][], firstRow: number, keeps: (i: number, j: number) => boolean): number {
  let total = 0;
  for (let i = firstRow; i < map.length; i++) {
    for (let j = 0; j <= i; j++) if (keeps(i, j)) total += map[i][j];
  }
  return total / (map.length - firstRow);
}

/** Softmax attention of row i over the keys that `keeps` allows, float64. */
export function attendRow(
  q: number[],
  k: number[][],
  v: number[][],
  i: number,
  keeps: (j: number) => boolean,
): number[] {
  const keys: number[] = [];
  for (let j = 0; j <= i; j++) if (keeps(j)) keys.push(j);
  const scores = keys.map((j) => dot(q, k[j]) / Math.sqrt(q.length));
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return q.map((_, c) => keys.reduce((total, j, x) => total + weights[x] * v[j][c], 0) / sum);
}
