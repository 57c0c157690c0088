import type { LinearWeight, OtherWeights, Projection, ProjectionInputs, TuneWeights } from "@winnow/core";
import { createDecoder, type Decoder, type InputPlace, residualLosses, runLayer } from "@winnow/models";
import { roleOf, withMatrices } from "../../prune/places.js";
import type { TuneTask } from "../messages.js";
import { throwIfCancelled } from "./cancel.js";
import { ropeTablesFor } from "./positions.js";
import { CHUNK_ROWS, type Session } from "./session.js";

/** The model's matrices for a search; passes are dense but for the matrices that the search puts in. */
export function tuneWeights(session: Session, task: TuneTask): TuneWeights {
  const { decoder } = session;
  const passes = new Passes(task);
  return {
    activation: decoder.config.activation,
    get: (layer, projection) => decoder.weights.layers[layer][roleOf(projection)],
    residual: (prompt, layer) => passes.residual(decoder, prompt, 0, layer),
    async inputs(prompt, layer) {
      const collected = new Map<InputPlace, Float32Array[]>();
      const observer = {
        wantsActivatedGate: false,
        observe: (_layer: number, place: InputPlace, x: Float32Array) => {
          collected.set(place, [...(collected.get(place) ?? []), x.slice()]);
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
    const residual = await this.residual(decoder, prompt, sparseTokens, decoder.config.layers);
    const losses = await residualLosses(decoder, {
      residual,
      targets: prompt.subarray(1),
      chunkRows: CHUNK_ROWS,
      beforeChunk: () => throwIfCancelled(this.task.cancel),
    });
    return losses.reduce((sum, loss) => sum + loss, 0);
  }
}

function withWeights(decoder: Decoder, other: ReadonlyMap<number, OtherWeights>): Decoder {
  const layers = decoder.weights.layers.map((layer, index) => withMatrices(layer, changesOf(other.get(index))));
  return createDecoder({ ...partsOf(decoder), weights: { ...decoder.weights, layers } });
}

function changesOf(other: OtherWeights = {}): ReadonlyMap<Projection, LinearWeight> {
  return new Map(Object.entries(other) as [Projection, LinearWeight][]);
}

function partsOf({ config, weights, ops }: Decoder) {
  return { config, weights, ops, maxRows: CHUNK_ROWS };
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
