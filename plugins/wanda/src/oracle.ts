/** Kept weights (1), row-major, of a matrix `[out][in]` with inputs `[token][in]`, from the equations, in float64. */
export function oracleKept(
  matrix: number[][],
  inputs: number[][],
  removedOf: (size: number) => number,
  groupSize = matrix[0].length,
): number[] {
  return oracleScores(matrix, inputs).flatMap((row) => {
    const kept = row.map(() => 1);
    for (let start = 0; start < row.length; start += groupSize) {
      const size = Math.min(groupSize, row.length - start);
      const order = Array.from({ length: size }, (_, i) => start + i).sort((a, b) => row[a] - row[b] || a - b);
      for (const i of order.slice(0, removedOf(size))) kept[i] = 0;
    }
    return kept;
  });
}

/** The variant at a given alpha: kept weights (1), row-major. */
export function oracleKeptByMass(matrix: number[][], inputs: number[][], alpha: number): number[] {
  return oracleScores(matrix, inputs).flatMap((row) => {
    const sorted = [...row].sort((a, b) => a - b);
    const total = row.reduce((a, b) => a + b, 0);
    let limit = -1;
    let sum = 0;
    for (const score of sorted) {
      sum += score;
      if (sum <= alpha * total) limit = score;
    }
    return row.map((score) => Number(score > limit));
  });
}

function oracleScores(matrix: number[][], inputs: number[][]): number[][] {
  return matrix.map((row) => row.map((w, j) => Math.abs(w) * Math.sqrt(inputs.reduce((sum, x) => sum + x[j] ** 2, 0))));
}
