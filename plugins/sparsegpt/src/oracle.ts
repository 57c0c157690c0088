export interface OracleOptions {
  readonly sparsity: number;
  readonly groups?: { readonly keep: number; readonly of: number };
  readonly cut: "threshold" | "count";
  readonly blockSize: number;
  readonly damping: number;
  readonly bits?: number;
}

/**
 * SparseGPT on W `[out][in]` with calibration inputs X `[tokens][in]` of `sequences` sequences, in float64. Instead of one Cholesky factor and lazy blocks, it
 * inverts the Hessian of the columns that are still free anew for each column, and updates all of them at once (Equation 3 and Section 3.2 of the paper).
 */
export function oracleSparseGpt(w: number[][], x: number[][], sequences: number, options: OracleOptions): number[][] {
  const width = w[0].length;
  const h = gram(x, width).map((row) => row.map((sum) => (2 * sum) / sequences));
  const rows = w.map((row) => row.slice());
  for (let j = 0; j < width; j++) {
    if (h[j][j] !== 0) continue;
    h[j][j] = 1;
    for (const row of rows) row[j] = 0;
  }
  const mean = h.reduce((sum, row, j) => sum + row[j], 0) / width;
  for (let j = 0; j < width; j++) h[j][j] += options.damping * mean;
  const inverses = h.map((_, j) => invert(h.slice(j).map((row) => row.slice(j))));
  const score = (row: number[], j: number) => row[j] ** 2 / inverses[j][0][0];

  let removed = rows.map(() => new Set<number>());
  for (let j = 0; j < width; j++) {
    if (!options.groups && j % options.blockSize === 0)
      removed = cutBlock(rows, j, Math.min(width, j + options.blockSize), score, options);
    if (options.groups && j % options.groups.of === 0) {
      const { keep, of } = options.groups;
      const places = Array.from({ length: Math.min(of, width - j) }, (_, i) => j + i);
      removed = rows.map((row) => {
        const order = places.slice().sort((a, b) => score(row, a) - score(row, b) || a - b);
        return new Set(order.slice(0, Math.max(0, places.length - keep)));
      });
    }
    rows.forEach((row, r) => {
      let target = removed[r].has(j) ? 0 : row[j];
      if (options.bits !== undefined) target = roundToGrid(target, w[r], options.bits);
      const share = (row[j] - target) / inverses[j][0][0];
      for (let k = j + 1; k < width; k++) row[k] -= share * inverses[j][0][k - j];
      row[j] = target;
    });
  }
  return rows;
}

/** Sum over tokens of the squared difference of outputs. */
export function outputError(a: number[][], b: number[][], x: number[][]): number {
  let sum = 0;
  for (const token of x)
    a.forEach((row, r) => {
      sum += row.reduce((dot, value, j) => dot + (value - b[r][j]) * token[j], 0) ** 2;
    });
  return sum;
}

function cutBlock(
  rows: number[][],
  start: number,
  end: number,
  score: (row: number[], j: number) => number,
  { sparsity, cut }: OracleOptions,
): Set<number>[] {
  const all = rows.flatMap((row, r) =>
    Array.from({ length: end - start }, (_, i) => ({ r, j: start + i, s: score(row, start + i) })),
  );
  all.sort((a, b) => a.s - b.s || a.r - b.r || a.j - b.j);
  const wanted = Math.floor(all.length * sparsity);
  const threshold = all[Math.min(wanted, all.length - 1)].s;
  const gone = sparsity === 0 ? [] : cut === "count" ? all.slice(0, wanted) : all.filter(({ s }) => s <= threshold);
  return rows.map((_, r) => new Set(gone.filter((entry) => entry.r === r).map(({ j }) => j)));
}

function roundToGrid(value: number, row: number[], bits: number): number {
  const [low, high] = [Math.min(0, ...row), Math.max(0, ...row)];
  const scale = (low === high ? 2 : high - low) / (2 ** bits - 1);
  const zero = Math.round(-(low === high ? -1 : low) / scale);
  const level = Math.min(2 ** bits - 1, Math.max(0, Math.round(value / scale) + zero));
  return scale * (level - zero);
}

function gram(x: number[][], width: number): number[][] {
  return Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => x.reduce((sum, token) => sum + token[i] * token[j], 0)),
  );
}

/** Gauss-Jordan with pivoting. */
function invert(a: number[][]): number[][] {
  const n = a.length;
  const rows = a.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  for (let c = 0; c < n; c++) {
    const pivot = rows
      .slice(c)
      .reduce((best, row, i) => (Math.abs(row[c]) > Math.abs(rows[best][c]) ? c + i : best), c);
    [rows[c], rows[pivot]] = [rows[pivot], rows[c]];
    rows[c] = rows[c].map((value) => value / rows[c][c]);
    rows.forEach((row, r) => {
      if (r !== c) rows[r] = row.map((value, k) => value - row[c] * rows[c][k]);
    });
  }
  return rows.map((row) => row.slice(n));
}
