import {
  type ChannelsWeight,
  channelsWeight,
  type OtherWeights,
  type Projection,
  type ProjectionInputs,
  projectionInput,
  projections,
  type TuneContext,
} from "@winnow/core";
import { activationError, effectiveSparsity, type GreedyStep, greedySearch, type Shares } from "./greedy.js";
import { type Thresholds, thresholdsOf } from "./quantile.js";
import type { TunerOptions } from "./tune.js";

/** A layer on the prompts, ready to run with any shares. */
interface Trial {
  readonly channels: Readonly<Record<Projection, ChannelsWeight>>;
  readonly thresholds: Readonly<Record<keyof ProjectionInputs, Thresholds>>;
  readonly sequences: readonly {
    readonly residual: Float32Array;
    readonly tokens: number;
    readonly dense: Float32Array;
  }[];
}

/** The greedy search of one layer; `onSparsity` hears how far it is. */
export async function searchLayer(
  context: TuneContext,
  options: TunerOptions,
  layer: number,
  onSparsity: (sparsity: number) => void,
): Promise<GreedyStep[]> {
  const trial = await prepare(context, options, layer);
  const sizes = projections.map((name) => trial.channels[name].inFeatures * trial.channels[name].outFeatures);
  const parameters = options.parameters ?? sizes;
  const search = greedySearch({ ...options, parameters });
  let next = search.next();
  while (!next.done) {
    onSparsity(effectiveSparsity(next.value, parameters));
    next = search.next(await errorOf(context, options, layer, trial, next.value));
  }
  return next.value;
}

async function prepare(context: TuneContext, options: TunerOptions, layer: number): Promise<Trial> {
  const { weights, prompts, operations } = context;
  const channels = Object.fromEntries(
    projections.map((name) => {
      const weight = operations.decodeWeight(weights.get(layer, name));
      return [name, channelsWeight(weight, weight.dtype, { rule: "threshold", thresholds: Float32Array.of(0) })];
    }),
  ) as Trial["channels"];
  const gathered: ProjectionInputs[] = [];
  const sequences: Trial["sequences"][number][] = [];
  for (const prompt of prompts) {
    gathered.push(await weights.inputs(prompt, layer));
    const residual = await weights.residual(prompt, layer);
    // The same kernels as in the trials, so that what differs is sparsity alone.
    const dense = await weights.runLayer(layer, residual, channels, sparseTokens(prompt.length, options));
    sequences.push({ residual, tokens: prompt.length, dense });
  }
  const thresholds = Object.fromEntries(
    (["attention", "attentionOutput", "mlp", "down"] as const).map((place) => [
      place,
      thresholdsOf(joined(gathered.map((inputs) => inputs[place])), options.quantile),
    ]),
  ) as Trial["thresholds"];
  return { channels, thresholds, sequences };
}

/** Mean over prompts. */
async function errorOf(
  { weights }: TuneContext,
  options: TunerOptions,
  layer: number,
  trial: Trial,
  shares: Shares,
): Promise<number> {
  const other = withShares(trial, shares);
  let sum = 0;
  for (const { residual, tokens, dense } of trial.sequences) {
    const sparse = await weights.runLayer(layer, residual, other, sparseTokens(tokens, options));
    const firstToken = Math.floor(tokens * (1 - options.lastFraction));
    sum += activationError(dense, sparse, dense.length / tokens, firstToken);
  }
  return sum / trial.sequences.length;
}

function withShares({ channels, thresholds }: Trial, shares: Shares): OtherWeights {
  return Object.fromEntries(
    projections.map((name, p) => {
      const threshold = thresholds[projectionInput[name]](shares[p]);
      return [name, { ...channels[name], selection: { rule: "threshold", thresholds: Float32Array.of(threshold) } }];
    }),
  );
}

function sparseTokens(tokens: number, { sparseFraction }: TunerOptions): number {
  return Math.floor(tokens * sparseFraction);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}
