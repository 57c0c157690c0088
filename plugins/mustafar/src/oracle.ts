/** Ascending elements of a vector that stay, by sorting: d - max(1, floor(s d)) + 1 of the largest magnitude, ties to the lower index. */
export function oracleKept(vector: readonly number[], sparsity: number): number[] {
  const d = vector.length;
  const smallest = Math.max(1, Math.floor(sparsity * d));
  const order = vector.map((_, c) => c).sort((a, b) => Math.abs(vector[b]) - Math.abs(vector[a]) || a - b);
  return order.slice(0, d - smallest + 1).sort((a, b) => a - b);
}
