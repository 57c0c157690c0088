import {
  type CalibrationStatistics,
  type Projection,
  type ProjectionInputs,
  projectionInput,
  projections,
  type StatisticName,
} from "@winnow/core";
import type { LayerWeights, LinearRole } from "@winnow/models";

/** Inputs that matrices share: of q, k and v; of o; of gate and up; of down. */
export type StatisticPlace = keyof ProjectionInputs;

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

const roles: Readonly<Record<Projection, LinearRole>> = {
  q_proj: "q",
  k_proj: "k",
  v_proj: "v",
  o_proj: "o",
  gate_proj: "gate",
  up_proj: "up",
  down_proj: "down",
};

/** Where a matrix stands in the layer's weights. */
export function roleOf(projection: Projection): LinearRole {
  return roles[projection];
}

/** Statistics to gather for a layer, given what is declared for each of its matrices. The activated gate is seen beside the input of up or down. */
export function wantedStatistics(
  declared: readonly { readonly projection: Projection; readonly statistics: readonly StatisticName[] }[],
): WantedStatistics {
  const wanted: Partial<Record<StatisticPlace, StatisticName[]>> = {};
  for (const { projection, statistics } of declared) {
    const names = statistics.filter((name) => name !== "activatedGate" || hasActivatedGate(projection));
    const place = projectionInput[projection];
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
