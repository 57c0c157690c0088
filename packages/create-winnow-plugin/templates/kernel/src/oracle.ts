/** `out[r, o] = bias[o] + sum_i x[r, i] * weight[o, i]` in float64, one term after the other. */
export function oracle(
  x: readonly (readonly number[])[],
  weight: readonly (readonly number[])[],
  bias: readonly number[],
): number[][] {
  return x.map((row) => weight.map((w, o) => row.reduce((sum, value, i) => sum + value * w[i], bias[o])));
}
