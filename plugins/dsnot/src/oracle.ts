export interface OracleOptions {
  readonly maxCycles: number;
  readonly updateThreshold: number;
  readonly power: number;
  readonly sameSign: boolean;
  /** Size of the groups; 0: unstructured. */
  readonly of: number;
}

/** Sums over tokens averaged over sequences, likewise of squares, and mean variance inside sequences, of inputs `[sequence][token][in]`. */
export function oracleStatistics(x: number[][][]): { s: number[]; q: number[]; v: number[] } {
  const columns = x[0][0].map((_, j) => x.map((tokens) => tokens.map((token) => token[j])));
  const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const meanOver = (sequences: number[][], of: (tokens: number[]) => number) =>
    total(sequences.map(of)) / sequences.length;
  return {
    s: columns.map((sequences) => meanOver(sequences, total)),
    q: columns.map((sequences) => meanOver(sequences, (tokens) => total(tokens.map((value) => value ** 2)))),
    v: columns.map((sequences) =>
      meanOver(sequences, (tokens) => {
        const mean = total(tokens) / tokens.length;
        return total(tokens.map((value) => (value - mean) ** 2)) / tokens.length;
      }),
    ),
  };
}

/** Weights of one row that stay, by plain searches of the whole row in every cycle; `kept` is the initial mask and `scores` what made it. */
export function oracleRow(
  w: number[],
  { s, q, v }: ReturnType<typeof oracleStatistics>,
  initial: boolean[],
  scores: number[],
  { maxCycles, updateThreshold, power, sameSign, of }: OracleOptions,
): boolean[] {
  const kept = [...initial];
  const fresh = w.map(() => true);
  const c = w.map((weight, j) => weight * s[j]);
  const gain = c.map((value, j) => value / v[j] ** power);
  const wanda = w.map((weight, j) => Math.abs(weight) * Math.sqrt(q[j]));
  let error = c.reduce((sum, value, j) => (kept[j] ? sum : sum + value), 0);
  const first = Math.sign(error);
  const best = (where: (j: number) => boolean, key: (j: number) => number): number => {
    let found = -1;
    w.forEach((_, j) => {
      if (fresh[j] && where(j) && (found < 0 || key(j) < key(found))) found = j;
    });
    return found;
  };
  for (let cycle = 0; cycle < maxCycles; cycle++) {
    if (!(Math.abs(error) > updateThreshold)) break;
    const up = error > 0;
    const grown = best(
      (j) => !kept[j] && (up ? c[j] > 0 : c[j] < 0),
      (j) => (up ? -gain[j] : gain[j]),
    );
    if (grown < 0) break;
    const mate = (j: number) => Math.floor(j / of) === Math.floor(grown / of);
    const pruned = of
      ? best(
          (j) => kept[j] && mate(j),
          (j) => scores[j],
        )
      : best(
          (j) => kept[j] && (up ? c[j] < 0 : c[j] > 0),
          (j) => wanda[j],
        );
    if (pruned < 0) break;
    const after = error + c[pruned] - c[grown];
    if ((of || sameSign) && Math.sign(after) !== first) break;
    [kept[grown], kept[pruned], fresh[grown], fresh[pruned]] = [true, false, false, false];
    error = after;
  }
  return kept;
}
