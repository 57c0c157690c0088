import {
  type DenseWeight,
  floatValues,
  type Projection,
  type StatisticName,
  statisticOf,
  type WeightContext,
  type WeightSparsifier,
} from "@winnow/core";
import type { DsnotOptions } from "./options.js";
import { refineRow } from "./refine-row.js";
import { pruneBySign, pruneInGroup, type Row } from "./row.js";
import { type Start, startOf, wandaScores } from "./start.js";

/** Smallest normal float32: stands in for the variance of a constant input. */
const TINY = 2 ** -126;

/**
 * DSnoT (arXiv 2310.08915, Section 3.2): moves the mask of each output until the expected difference between its dense and sparse value vanishes.
 * Values never change: kept weights stay as they are, revived ones come back from the dense matrix.
 * Cost: O(out * in log in); with initial: sparsegpt also O(in^3).
 */
export function dsnot(options: DsnotOptions): WeightSparsifier {
  return {
    statistics: statisticsOf(options),
    sparsify(context) {
      const start = startOf(context, options);
      if (isSkipped(context.projection, options)) return start.weight;
      const kept = refinedMask(context, start, options);
      context.report?.({ swaps: kept.reduce((count, bit, e) => count + Number(bit > start.kept[e]), 0) });
      return withMask(start, kept);
    },
  };
}

function statisticsOf({ initial, varianceOf }: DsnotOptions): StatisticName[] {
  return ["mean", "norm", varianceName(varianceOf), ...(initial === "sparsegpt" ? (["hessian"] as const) : [])];
}

function varianceName(varianceOf: DsnotOptions["varianceOf"]): "withinVariance" | "variance" {
  return varianceOf === "within-sequence" ? "withinVariance" : "variance";
}

const attention: readonly Projection[] = ["q_proj", "k_proj", "v_proj", "o_proj"];

function isSkipped(projection: Projection, { skipLayer, skipSubLayer }: DsnotOptions): boolean {
  return projection === skipSubLayer || skipLayer === (attention.includes(projection) ? "self_attn" : "mlp");
}

function refinedMask(context: WeightContext, start: Start, options: DsnotOptions): Uint8Array {
  const { outFeatures, inFeatures } = start.weight;
  const { pattern } = options;
  const sameSign = options.sameSign || pattern !== "unstructured";
  const pruneOf = pattern === "unstructured" ? pruneBySign : (row: Row) => pruneInGroup(row, pattern.of);
  const kept = start.kept.slice();
  const rowAt = rowReader(context, start, kept, options);
  for (let o = 0; o < outFeatures; o++) refineRow(rowAt(o * inFeatures), pruneOf, { ...options, sameSign });
  return kept;
}

/** Reads the row that starts at an element. Statistics in the units of the reference code: sums over tokens, means over sequences. */
function rowReader(
  context: WeightContext,
  { weight, dense, scores }: Start,
  kept: Uint8Array,
  { growVariancePower, varianceOf }: DsnotOptions,
): (start: number) => Row {
  const { inFeatures } = weight;
  const { tokens, sequences } = context.statistics;
  const sums = Float64Array.from(statisticOf(context, "mean"), (mean) => (mean * tokens) / sequences);
  const divisors = Float64Array.from(
    statisticOf(context, varianceName(varianceOf)),
    (variance) => Math.max(variance, TINY) ** growVariancePower,
  );
  const [sparseValues, denseValues] = [floatValues(weight), floatValues(dense)];
  const wanda = wandaScores(context, sparseValues);
  return (start) => {
    const end = start + inFeatures;
    const part = kept.subarray(start, end);
    const contributions = new Float64Array(inFeatures);
    const growKeys = new Float64Array(inFeatures);
    let error = 0;
    for (let j = 0; j < inFeatures; j++) {
      const [sparseValue, denseValue] = [sparseValues[start + j], denseValues[start + j]];
      contributions[j] = (part[j] ? sparseValue : denseValue) * sums[j];
      growKeys[j] = contributions[j] / divisors[j];
      error += (denseValue - sparseValue) * sums[j];
    }
    return {
      kept: part,
      contributions,
      growKeys,
      wanda: wanda.subarray(start, end),
      scores: scores.subarray(start, end),
      error,
    };
  };
}

/** Kept weights of the start keep their value, revived ones take that of the dense matrix. */
function withMask({ weight, dense, kept: before }: Start, kept: Uint8Array): DenseWeight {
  const data = weight.data.slice() as typeof weight.data;
  for (let e = 0; e < kept.length; e++) if (kept[e] !== before[e]) data[e] = kept[e] ? dense.data[e] : 0;
  return { ...weight, data };
}
