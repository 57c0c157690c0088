/** q `[h][w][d]`, the last w queries; k `[hKv][n][d]`; both after RoPE. */
export interface OraclePrompt {
  readonly q: number[][][];
  readonly k: number[][][];
}

export interface OracleOptions {
  readonly capacity: number;
  readonly kernel: number;
  readonly pooling: "avg" | "max";
}

/** Tokens that each KV head keeps, from the equations, in float64. */
export function oracleKept({ q, k }: OraclePrompt, { capacity, kernel, pooling }: OracleOptions): number[][] {
  const window = q[0].length;
  const length = k[0].length;
  const group = q.length / k.length;
  return k.map((keys, kvHead) => {
    const heads = q.slice(kvHead * group, (kvHead + 1) * group);
    const pooled = heads.map((queries) => pool(votes(queries, keys), kernel, pooling));
    const mean = pooled[0].map((_, j) => pooled.reduce((sum, row) => sum + row[j], 0) / group);
    const order = mean.map((_, j) => j).sort((a, b) => mean[b] - mean[a] || a - b);
    const chosen = order.slice(0, capacity - window).sort((a, b) => a - b);
    return [...chosen, ...Array.from({ length: window }, (_, i) => length - window + i)];
  });
}

function votes(queries: number[][], keys: number[][]): number[] {
  const earlier = keys.length - queries.length;
  const sums = new Array<number>(earlier).fill(0);
  queries.forEach((query, r) => {
    const visible = keys.slice(0, earlier + r + 1);
    const scores = visible.map((key) => key.reduce((sum, x, c) => sum + x * query[c], 0) / Math.sqrt(query.length));
    const weights = scores.map((s) => Math.exp(s - Math.max(...scores)));
    const total = weights.reduce((a, b) => a + b, 0);
    for (let j = 0; j < earlier; j++) sums[j] += weights[j] / total;
  });
  return sums;
}

function pool(row: number[], kernel: number, pooling: "avg" | "max"): number[] {
  const half = (kernel - 1) / 2;
  return row.map((_, j) => {
    const places = Array.from({ length: kernel }, (_, i) => row[j - half + i]);
    if (pooling === "max") return Math.max(...places.filter((x) => x !== undefined));
    return places.reduce((sum, x) => sum + (x ?? 0), 0) / kernel;
  });
}
