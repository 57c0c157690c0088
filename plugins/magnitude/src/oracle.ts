export type OracleScope = "layer" | "layer-threshold" | "row" | { readonly keep: number; readonly of: number };

/** Kept weights (1) of each matrix `[out][in]` of a model, the whole model being one group. Sorts everything, float64. */
export function oracleGlobal(matrices: readonly number[][][], sparsity: number): number[][] {
  const flat = matrices.map((matrix) => matrix.flat());
  const kept = keptOf(flat.flat(), (count) => halfToEven(count * sparsity));
  let start = 0;
  return flat.map(({ length }) => {
    start += length;
    return kept.slice(start - length, start);
  });
}

/** Kept weights (1) of one matrix `[out][in]`, row-major. */
export function oracleKept(matrix: number[][], scope: OracleScope, sparsity: number): number[] {
  if (scope === "layer") return keptOf(matrix.flat(), (count) => halfToEven(count * sparsity));
  if (scope === "row") return matrix.flatMap((row) => keptOf(row, (count) => Math.floor(count * sparsity)));
  if (scope === "layer-threshold") {
    const sorted = matrix
      .flat()
      .map(Math.abs)
      .sort((a, b) => a - b);
    const threshold = sorted[Math.min(Math.floor(sorted.length * sparsity), sorted.length - 1)];
    return matrix.flat().map((w) => Number(Math.abs(w) > threshold));
  }
  return matrix.flatMap((row) => {
    const groups = Array.from({ length: Math.ceil(row.length / scope.of) }, (_, g) =>
      row.slice(g * scope.of, (g + 1) * scope.of),
    );
    return groups.flatMap((group) => keptOf(group, (count) => count - Math.min(count, scope.keep)));
  });
}

function keptOf(values: number[], removed: (count: number) => number): number[] {
  const order = values.map((_, i) => i).sort((a, b) => Math.abs(values[a]) - Math.abs(values[b]) || a - b);
  const gone = new Set(order.slice(0, removed(values.length)));
  return values.map((_, i) => Number(!gone.has(i)));
}

function halfToEven(x: number): number {
  const [below, above] = [Math.floor(x), Math.ceil(x)];
  if (x - below === above - x) return below % 2 === 0 ? below : above;
  return x - below < above - x ? below : above;
}
