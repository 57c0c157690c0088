import { type StatisticName, WinnowError } from "@winnow/core";
import {
  createDecoder,
  createRopeTable,
  type Decoder,
  type InputObserver,
  type InputPlace,
  type LayerWeights,
  type ModelWeights,
  runLayer,
} from "@winnow/models";
import type { StatisticPlace } from "../../../prune/places.js";
import { ResidualFile } from "../../../prune/residual-file.js";
import { InputSums, type PartialSums } from "../../../prune/statistics.js";
import type { GatheredPart, GatherStep, InputSamples, PropagateStep, SequenceRange } from "../../../prune/tasks.js";
import type { PruneTask } from "../../messages.js";
import { throwIfCancelled } from "../cancel.js";
import { emitProgress } from "../events.js";
import { CHUNK_ROWS, pluginOperations } from "../session.js";
import type { PruneContext } from "./context.js";

type Port = Pick<PruneTask, "cancel" | "events">;

/** Runs the dense layer over its sequences and gathers what is wanted of the inputs of its matrices. */
export async function gather(context: PruneContext, step: GatherStep, port: Port): Promise<GatheredPart> {
  const observer = new StatisticsObserver(context, step);
  const decoder = layerDecoder(context, step.layer, step.weights, observer);
  await forEachSequence(context, decoder, step, port, () => observer.endSequence());
  return observer.parts();
}

/** Runs the layer over its sequences; what comes out goes to another file. */
export async function propagate(context: PruneContext, step: PropagateStep, port: Port): Promise<void> {
  const decoder = layerDecoder(context, step.layer, step.weights);
  const target = new ResidualFile(step.to, "create");
  try {
    await forEachSequence(context, decoder, { ...step, file: step.from }, port, (index, residual) => {
      checkFinite(residual, step.layer, "output");
      target.write(index, residual);
    });
  } finally {
    target.close();
  }
}

interface Pass {
  readonly layer: number;
  readonly file: string;
  readonly range: SequenceRange;
}

async function forEachSequence(
  { config }: PruneContext,
  decoder: Decoder,
  { layer, file, range }: Pass,
  { cancel, events }: Port,
  done: (index: number, residual: Float32Array) => void,
): Promise<void> {
  const { start, end, length } = range;
  const table = createRopeTable(config.rope, config.headDim, length);
  const residual = new Float32Array(length * config.hiddenSize);
  const source = new ResidualFile(file, "read");
  try {
    for (let index = start; index < end; index++) {
      throwIfCancelled(cancel);
      source.read(index, residual);
      await runLayer(decoder, { layer, residual, rows: length, cancel }, table);
      done(index, residual);
      emitProgress(events, (index + 1 - start) / (end - start), "");
    }
  } finally {
    source.close();
  }
}

/** A decoder of one layer. */
function layerDecoder(
  { config, operations }: PruneContext,
  layer: number,
  weights: LayerWeights,
  observer?: InputObserver,
): Decoder {
  const layers: LayerWeights[] = [];
  layers[layer] = weights;
  return createDecoder({
    config,
    weights: { layers } as unknown as ModelWeights,
    ops: operations,
    maxRows: CHUNK_ROWS,
    ...(observer && { observer }),
  });
}

class StatisticsObserver implements InputObserver {
  readonly wantsActivatedGate: boolean;
  readonly #sums = new Map<StatisticPlace, InputSums>();
  readonly #sampler: Sampler;
  readonly #context: PruneContext;

  constructor(context: PruneContext, { wanted, samples, range }: GatherStep) {
    this.#context = context;
    this.wantsActivatedGate = samples.activatedGate !== undefined;
    for (const [place, names] of Object.entries(wanted) as [StatisticPlace, StatisticName[]][])
      this.#sums.set(place, new InputSums(widthOf(context, place), names));
    this.#sampler = new Sampler(samples, range.start * range.length);
  }

  observe(layer: number, place: InputPlace, x: Float32Array, rows: number): void {
    if (place === "activatedGate") this.#sampler.take(place, x, rows);
    else this.#observeInputs(layer, place, x, rows);
  }

  #observeInputs(layer: number, place: StatisticPlace, x: Float32Array, rows: number): void {
    const sums = this.#sums.get(place);
    if (!sums) return;
    checkFinite(x, layer, placeNames[place]);
    sums.add(x, rows);
    if (sums.hessian) pluginOperations(this.#context.operations).accumulateGram(x, rows, sums.width, sums.hessian);
    this.#sampler.take(place, x, rows);
  }

  endSequence(): void {
    for (const sums of this.#sums.values()) sums.endSequence();
  }

  parts(): GatheredPart {
    return Object.fromEntries([...this.#sums].map(([place, sums]): [string, PartialSums] => [place, sums.part()]));
  }
}

/** Copies the sampled tokens of each place as they come by. */
class Sampler {
  readonly #samples: InputSamples;
  readonly #first: number;
  readonly #seen = new Map<InputPlace, number>();

  constructor(samples: InputSamples, firstToken: number) {
    this.#samples = samples;
    this.#first = firstToken;
  }

  take(place: InputPlace, x: Float32Array, rows: number): void {
    const target = place === "activatedGate" ? this.#samples.activatedGate : this.#samples.inputs[place];
    if (!target) return;
    const start = this.#seen.get(place) ?? this.#first;
    this.#seen.set(place, start + rows);
    const width = x.length / rows;
    for (const [slot, token] of this.#samples.tokens.entries()) {
      if (token < start || token >= start + rows) continue;
      target.set(x.subarray((token - start) * width, (token - start + 1) * width), slot * width);
    }
  }
}

const placeNames: Readonly<Record<StatisticPlace, string>> = {
  attention: "input of q_proj, k_proj and v_proj",
  attentionOutput: "input of o_proj",
  mlp: "input of gate_proj and up_proj",
  down: "input of down_proj",
};

function widthOf({ config }: PruneContext, place: StatisticPlace): number {
  if (place === "attentionOutput") return config.queryHeads * config.headDim;
  return place === "down" ? config.intermediateSize : config.hiddenSize;
}

function checkFinite(values: Float32Array, layer: number, place: string): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new WinnowError(
    "ERR_CALIBRATION",
    `Cannot calibrate: the ${place} of layer ${layer} is not finite (${values[bad]}). Check that the unpruned model runs on this text, use precision: f32, or prune less.`,
  );
}
