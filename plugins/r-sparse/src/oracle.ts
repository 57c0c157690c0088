/** `[out]`: y = W (x m) + bias + L (x (1 - m)) with m_j = [|x_j| scale_j > threshold] and L `[out][in]` the low-rank matrix, all in float64. */
export function oracleProduct(
  weight: number[][],
  lowRank: number[][] | undefined,
  x: number[],
  scale: number[],
  threshold: number,
  bias?: number[],
): number[] {
  return weight.map((row, o) =>
    row.reduce((sum, w, j) => {
      const exact = Math.abs(x[j]) * scale[j] > threshold;
      return sum + (exact ? w : (lowRank?.[o][j] ?? 0)) * x[j];
    }, bias?.[o] ?? 0),
  );
}

/** L2 norm of each column of `[out][in]`. */
export function oracleNorms(weight: number[][]): number[] {
  return weight[0].map((_, j) => Math.hypot(...weight.map((row) => row[j])));
}

/** Best approximation of rank `rank`, `[out][in]`: one singular direction after the other by power iteration on what is left of W. */
export function oracleLowRank(weight: number[][], rank: number): number[][] {
  const rest = weight.map((row) => [...row]);
  const sum = weight.map((row) => row.map(() => 0));
  for (let k = 0; k < rank; k++) {
    let v = rest[0].map((_, j) => 1 + 0.37 * Math.sin(3 * j + k));
    let u: number[] = [];
    for (let iteration = 0; iteration < 3000; iteration++) {
      u = rest.map((row) => row.reduce((total, w, j) => total + w * v[j], 0));
      v = normalised(v.map((_, j) => rest.reduce((total, row, o) => total + row[j] * u[o], 0)));
    }
    u = rest.map((row) => row.reduce((total, w, j) => total + w * v[j], 0));
    for (const [o, left] of u.entries())
      for (const [j, right] of v.entries()) {
        sum[o][j] += left * right;
        rest[o][j] -= left * right;
      }
  }
  return sum;
}

function normalised(v: number[]): number[] {
  const length = Math.hypot(...v);
  return length === 0 ? v : v.map((value) => value / length);
}
