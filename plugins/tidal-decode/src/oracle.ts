/** One decode step, per layer: q `[h][d]`, k and v `[hKv][n][d]`. */
export interface OracleLayer {
  readonly q: number[][];
  readonly k: number[][][];
  readonly v: number[][][];
}

export interface OracleStep {
  /** `[layers][h][d]`. */
  readonly outputs: number[][][];
  /** Tokens that each layer attends to, `[layers][h]`. */
  readonly attended: number[][][];
}

/** The method as the paper's Algorithm 1 words it, in loops over float64. */
export function oracleStep(layers: OracleLayer[], budget: number, selectionLayers: number[]): OracleStep {
  const outputs: number[][][] = [];
  const attended: number[][][] = [];
  let rho: number[][] = [];
  layers.forEach(({ q, k, v }, layer) => {
    const group = q.length / k.length;
    const all = Array.from(k[0], (_, j) => j);
    const selecting = selectionLayers.includes(layer);
    const dense = selecting || layer < Math.min(...selectionLayers);
    attended.push(q.map((_, i) => (dense ? all : rho[i])));
    outputs.push(
      q.map((query, i) => attend(query, k[Math.floor(i / group)], v[Math.floor(i / group)], attended[layer][i])),
    );
    if (selecting) rho = q.map((query, i) => best(query, k[Math.floor(i / group)], budget));
  });
  return { outputs, attended };
}

function score(query: number[], key: number[]): number {
  let sum = 0;
  for (let c = 0; c < query.length; c++) sum += query[c] * key[c];
  return sum / Math.sqrt(query.length);
}

function best(query: number[], keys: number[][], budget: number): number[] {
  return keys
    .map((key, j) => ({ j, s: score(query, key) }))
    .sort((a, b) => b.s - a.s || a.j - b.j)
    .slice(0, budget)
    .map(({ j }) => j)
    .sort((a, b) => a - b);
}

function attend(query: number[], keys: number[][], values: number[][], tokens: number[]): number[] {
  const scores = tokens.map((j) => score(query, keys[j]));
  const peak = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - peak));
  const total = weights.reduce((a, b) => a + b, 0);
  return query.map((_, c) => tokens.reduce((sum, j, at) => sum + (weights[at] / total) * values[j][c], 0));
}
