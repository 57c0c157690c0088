import { type OtherWeights, type Projection, type ProjectionInputs, projections, type TuneWeights } from "@winnow/core";
import {
  createDecoder,
  type Decoder,
  type InputPlace,
  type LayerWeights,
  type LinearRole,
  negativeLogLikelihoods,
  runLayer,
} from "@winnow/models";
import type { TuneTask } from "../messages.js";
import { throwIfCancelled } from "./cancel.js";
import { ropeTablesFor } from "./positions.js";
import { CHUNK_ROWS, type Session } from "./session.js";

const roles: Readonly<Record<Projection, LinearRole>> = {
  q_proj: "q",
  k_proj: "k",
  v_proj: "v",
  o_proj: "o",
  gate_proj: "gate",
  up_proj: "up",
  down_proj: "down",
};

/** The model's matrices for a search; passes are dense but for the matrices that the search puts in. */
export function tuneWeights(session: Session, task: TuneTask): TuneWeights {
  const { decoder } = session;
  const passes = new Passes(task);
  return {
    activation: decoder.config.activation,
    get: (layer, projection) => decoder.weights.layers[layer][roles[projection]],
    residual: (prompt, layer) => passes.residual(decoder, prompt, 0, layer),
    async inputs(prompt, layer) {
      const collected = new Map<InputPlace, Float32Array[]>();
      const observer = {
        wantsActivatedGate: false,
        observe: (_layer: number, place: InputPlace, x: Float32Array, rows: number) => {
          const width = place === "down" ? decoder.config.intermediateSize : widthOf(decoder, place);
          collected.set(place, [...(collected.get(place) ?? []), x.slice(0, rows * width)]);
        },
      };
      const residual = await passes.residual(decoder, prompt, 0, layer);
      await passes.layer(createDecoder({ ...partsOf(decoder), observer }), layer, residual, 0);
      return {
        attention: joined(collected.get("attention")),
        attentionOutput: joined(collected.get("attentionOutput")),
        mlp: joined(collected.get("mlp")),
        down: joined(collected.get("down")),
      } satisfies ProjectionInputs;
    },
    async runLayer(layer, residual, other, sparseTokens) {
      const result = residual.slice();
      await passes.layer(withWeights(decoder, new Map([[layer, other]])), layer, result, sparseTokens);
      return result;
    },
    async perplexity(other, sparseShare) {
      const changed = withWeights(decoder, other);
      let sum = 0;
      let count = 0;
      for (const prompt of task.prompts) {
        sum += await passes.negativeLogLikelihood(changed, prompt, Math.floor(prompt.length * sparseShare));
        count += prompt.length - 1;
      }
      return Math.exp(sum / count);
    },
  };
}

class Passes {
  constructor(private readonly task: TuneTask) {}

  /** Residual stream before layer `end`, from the embedding on. */
  async residual(decoder: Decoder, prompt: Int32Array, sparseTokens: number, end: number): Promise<Float32Array> {
    const residual = new Float32Array(prompt.length * decoder.config.hiddenSize);
    decoder.embed(prompt, residual);
    for (let layer = 0; layer < end; layer++) await this.layer(decoder, layer, residual, sparseTokens);
    return residual;
  }

  async layer(decoder: Decoder, layer: number, residual: Float32Array, sparseRows: number): Promise<void> {
    throwIfCancelled(this.task.cancel);
    const rows = residual.length / decoder.config.hiddenSize;
    const table = ropeTablesFor(this.task.context.model, rows);
    await runLayer(decoder, { layer, residual, rows, sparseRows, cancel: this.task.cancel }, table);
  }

  /** Summed over the tokens but the first. */
  async negativeLogLikelihood(decoder: Decoder, prompt: Int32Array, sparseTokens: number): Promise<number> {
    const { hiddenSize, vocabSize, layers } = decoder.config;
    const residual = await this.residual(decoder, prompt, sparseTokens, layers);
    const logits = new Float32Array(Math.min(CHUNK_ROWS, prompt.length) * vocabSize);
    let sum = 0;
    for (let start = 0; start < prompt.length - 1; start += CHUNK_ROWS) {
      const rows = Math.min(CHUNK_ROWS, prompt.length - 1 - start);
      await decoder.logits(residual.subarray(start * hiddenSize, (start + rows) * hiddenSize), rows, logits);
      const targets = prompt.subarray(start + 1, start + 1 + rows);
      sum += negativeLogLikelihoods(decoder.ops, logits, targets, vocabSize).reduce((total, nll) => total + nll, 0);
    }
    return sum;
  }
}

function withWeights(decoder: Decoder, other: ReadonlyMap<number, OtherWeights>): Decoder {
  const layers = decoder.weights.layers.map((layer, index) => replaced(layer, other.get(index)));
  return createDecoder({ ...partsOf(decoder), weights: { ...decoder.weights, layers } });
}

function replaced(layer: LayerWeights, other: OtherWeights | undefined): LayerWeights {
  if (!other) return layer;
  const changes = projections.flatMap((name) => (other[name] ? [[roles[name], other[name]]] : []));
  return { ...layer, ...Object.fromEntries(changes) };
}

function partsOf({ config, weights, ops }: Decoder) {
  return { config, weights, ops, maxRows: CHUNK_ROWS };
}

function widthOf({ config }: Decoder, place: InputPlace): number {
  return place === "attentionOutput" ? config.queryHeads * config.headDim : config.hiddenSize;
}

function joined(parts: readonly Float32Array[] = []): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}
