/** One token through a sparse matrix `[out, in]`, as plain loops in float64; `samples` are the inputs that the threshold comes from. */
export function oracle(
  weight: readonly (readonly number[])[],
  samples: ArrayLike<number>,
  x: readonly number[],
  { sparsity }: { readonly sparsity: number },
): number[] {
  const ascending = Array.from(samples, Math.abs).sort((a, b) => a - b);
  const threshold = ascending[Math.floor(sparsity * (ascending.length - 1))];
  return weight.map((row) => row.reduce((sum, w, i) => sum + (Math.abs(x[i]) > threshold ? w * x[i] : 0), 0));
}
