export interface OracleMlp {
  /** `[neurons][hidden]`. */
  readonly gate: number[][];
  readonly up: number[][];
  /** `[hidden][neurons]`. */
  readonly down: number[][];
  readonly activation: (x: number) => number;
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Activated gates and hidden activations of one token. */
export function oracleNeurons({ gate, up, activation }: OracleMlp, x: number[]): { gates: number[]; hidden: number[] } {
  const gates = gate.map((row) => activation(dot(row, x)));
  return { gates, hidden: gates.map((a, i) => a * dot(up[i], x)) };
}

/** The whole MLP in float64 with all but the `keep` neurons of largest magnitude set to 0. */
export function oracleTopk(mlp: OracleMlp, x: number[], keep: number, rankBy: "gate" | "hidden"): number[] {
  const { gates, hidden } = oracleNeurons(mlp, x);
  const kept = new Set(ranked(rankBy === "gate" ? gates : hidden).slice(0, keep));
  const h = hidden.map((value, i) => (kept.has(i) ? value : 0));
  return mlp.down.map((row) => dot(row, h));
}

/** Smallest keep that holds `mass` of the sum over tokens of |hidden| * norm of the column of down, by trying all. */
export function oracleKeep(mlp: OracleMlp, tokens: number[][], mass: number, rankBy: "gate" | "hidden"): number {
  const norms = mlp.gate.map((_, i) => Math.hypot(...mlp.down.map((row) => row[i])));
  const held = (keep: number) =>
    tokens.reduce((sum, x) => {
      const { gates, hidden } = oracleNeurons(mlp, x);
      const kept = ranked(rankBy === "gate" ? gates : hidden).slice(0, keep);
      return sum + kept.reduce((part, i) => part + Math.abs(hidden[i]) * norms[i], 0);
    }, 0);
  let keep = 0;
  while (held(keep) < mass * held(norms.length)) keep++;
  return keep;
}

/** Indices by falling magnitude, ties by index. */
function ranked(values: number[]): number[] {
  return values.map((_, i) => i).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
}
