import {
  type ChannelsWeight,
  channelsWeight,
  floatValues,
  type OtherWeights,
  type ProjectionInputs,
  projectionInput,
  projections,
  type TruncatedSvd,
  type TuneContext,
} from "@winnow/core";
import { budgetOf } from "./budget.js";
import type { Genome } from "./evolution.js";
import { factorsOf } from "./factors.js";
import { type Sketch, scoresOf, sketchOf } from "./scores.js";

/** What a matrix needs to be run at any ratio without being decomposed or calibrated again. */
export interface PreparedMatrix {
  readonly channels: ChannelsWeight;
  /** Of the largest rank that a ratio can ask for. */
  readonly svd: TruncatedSvd;
  readonly scale: Float32Array;
  /** Of |x|, and of |x| times scale. */
  readonly plain: Sketch;
  readonly scaled: Sketch;
}

/** The matrices of a layer in order of projections. `stride`: every how many tokens of the prompts inputs are sampled. */
export async function prepareLayer(
  { weights, prompts, operations }: TuneContext,
  layer: number,
  sparsity: number,
  stride: number,
): Promise<PreparedMatrix[]> {
  const gathered: ProjectionInputs[] = [];
  for (const prompt of prompts) gathered.push(await weights.inputs(prompt, layer));
  return projections.map((name) => {
    const weight = operations.decodeWeight(weights.get(layer, name));
    const { outFeatures, inFeatures } = weight;
    const values = floatValues(weight);
    const inputs = everyRow(
      gathered.map((all) => all[projectionInput[name]]),
      inFeatures,
      stride,
    );
    const scale = operations.columnNorms(values, outFeatures, inFeatures);
    const { rank } = budgetOf(outFeatures, inFeatures, { sparsity, ratio: 0 }, 1);
    return {
      channels: channelsWeight(weight, weight.dtype, { rule: "threshold", thresholds: Float32Array.of(0) }),
      svd: operations.truncatedSvd(values, outFeatures, inFeatures, rank),
      scale,
      plain: sketchOf(scoresOf(inputs)),
      scaled: sketchOf(scoresOf(inputs, scale)),
    };
  });
}

/** All matrices at the ratios of a genome, as the plugin makes them from a table, but for the thresholds, which come from sketches. */
export function candidate(
  layers: readonly (readonly PreparedMatrix[])[],
  genome: Genome,
  sparsity: number,
): Map<number, OtherWeights> {
  return new Map(
    layers.map((matrices, layer) => {
      const ratios = genome.slice(layer * projections.length);
      return [
        layer,
        Object.fromEntries(projections.map((name, p) => [name, atRatio(matrices[p], ratios[p], sparsity)])),
      ];
    }),
  );
}

function atRatio(
  { channels, svd, scale, plain, scaled }: PreparedMatrix,
  ratio: number,
  sparsity: number,
): ChannelsWeight {
  const { outFeatures, inFeatures, dtype } = channels;
  const { mode, rank, channelSparsity } = budgetOf(outFeatures, inFeatures, { sparsity, ratio }, 1);
  if (mode === "sparse") return { ...channels, selection: above(plain(channelSparsity)) };
  const lowRank = factorsOf(svd, rank, dtype)!;
  if (mode === "low-rank") return { ...channels, selection: above(Infinity), lowRank };
  return { ...channels, selection: { ...above(scaled(channelSparsity)), scale }, lowRank };
}

function above(threshold: number) {
  return { rule: "threshold", thresholds: Float32Array.of(threshold) } as const;
}

/** Every `stride`-th row of all parts together. */
function everyRow(parts: readonly Float32Array[], width: number, stride: number): Float32Array {
  const rows: Float32Array[] = [];
  let row = 0;
  for (const part of parts)
    for (let start = 0; start < part.length; start += width, row++)
      if (row % stride === 0) rows.push(part.subarray(start, start + width));
  const all = new Float32Array(rows.length * width);
  rows.forEach((values, index) => {
    all.set(values, index * width);
  });
  return all;
}
