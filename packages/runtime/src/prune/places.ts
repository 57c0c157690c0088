import { type CalibrationStatistics, type Projection, projections, type StatisticName } from "@winnow/core";
import type { InputPlace, LayerWeights, LinearRole } from "@winnow/models";

/** Inputs that matrices share: of q, k and v; of o; of gate and up; of down. */
export type StatisticPlace = Exclude<InputPlace, "activatedGate">;

/** What is gathered on one input: the statistics that any matrix of the place asks for. */
export type WantedStatistics = Readonly<Partial<Record<StatisticPlace, readonly StatisticName[]>>>;

/** Every statistic that a sparsifier can declare. */
export const statisticNames: readonly StatisticName[] = [
  "norm",
  "mean",
  "variance",
  "withinVariance",
  "hessian",
  "inputs",
  "activatedGate",
];

const roles: Readonly<Record<Projection, { readonly role: LinearRole; readonly place: StatisticPlace }>> = {
  q_proj: { role: "q", place: "attention" },
  k_proj: { role: "k", place: "attention" },
  v_proj: { role: "v", place: "attention" },
  o_proj: { role: "o", place: "attentionOutput" },
  gate_proj: { role: "gate", place: "mlp" },
  up_proj: { role: "up", place: "mlp" },
  down_proj: { role: "down", place: "down" },
};

/** Where a matrix stands in the layer's weights. */
export function roleOf(projection: Projection): LinearRole {
  return roles[projection].role;
}

/** The input that a matrix reads. */
export function placeOf(projection: Projection): StatisticPlace {
  return roles[projection].place;
}

/** Statistics to gather for a layer, given what is declared for each of its matrices. The activated gate is seen beside the input of up or down. */
export function wantedStatistics(
  declared: readonly { readonly projection: Projection; readonly statistics: readonly StatisticName[] }[],
): WantedStatistics {
  const wanted: Partial<Record<StatisticPlace, StatisticName[]>> = {};
  for (const { projection, statistics } of declared) {
    const names = statistics.filter((name) => name !== "activatedGate" || hasActivatedGate(projection));
    const place = placeOf(projection);
    const all = new Set([...(wanted[place] ?? []), ...names]);
    if (all.size > 0) wanted[place] = statisticNames.filter((name) => all.has(name));
  }
  return wanted;
}

/** Of the statistics of a matrix's input those that its sparsifier declares; others are absent. */
export function declaredOnly(
  { tokens, sequences, ...all }: CalibrationStatistics,
  projection: Projection,
  declared: readonly StatisticName[],
): CalibrationStatistics {
  const names = declared.filter((name) => name !== "activatedGate" || hasActivatedGate(projection));
  const chosen = names.flatMap((name) => (all[name] ? [[name, all[name]]] : []));
  return { tokens, sequences, ...Object.fromEntries(chosen) };
}

/** A layer with other matrices in some places. */
export function withMatrices(
  layer: LayerWeights,
  changes: ReadonlyMap<Projection, LayerWeights[LinearRole]>,
): LayerWeights {
  const changed = projections.flatMap((name) => (changes.has(name) ? [[roleOf(name), changes.get(name)]] : []));
  return { ...layer, ...Object.fromEntries(changed) };
}

function hasActivatedGate(projection: Projection): boolean {
  return projection === "up_proj" || projection === "down_proj";
}
