import type { Primitives } from "@winnow/core";
import { argmax } from "@winnow/models";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus, xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import type { SamplingOptions } from "./generation-options.js";

/** A token that was drawn, with natural-log probabilities under the model (before temperature, penalty and cuts). */
export interface DrawnToken {
  readonly id: number;
  readonly logProbability: number;
  readonly top: readonly TokenProbability[];
}

export interface TokenProbability {
  readonly id: number;
  readonly logProbability: number;
}

/** State of the random generator between tasks; plain numbers. */
export type SamplerState = readonly number[];

export interface Sampler {
  /** Draws from `[vocab]` logits; `seen` are the ids that the repetition penalty applies to. */
  draw(logits: Float32Array, seen: ReadonlySet<number>): DrawnToken;
  state(): SamplerState;
}

export interface SamplerSettings {
  readonly options: SamplingOptions;
  /** Most likely tokens to report. */
  readonly logProbabilities: number;
  /** Softmax of one row in place: exponentials of a whole vocabulary for each token are too slow in JavaScript. */
  readonly softmaxRows: Primitives["softmaxRows"];
  /** Where an earlier sampler of the same stream stopped. */
  readonly state?: SamplerState | undefined;
}

/** Order of operations as in Hugging Face generation: repetition penalty, temperature, top-k, top-p, min-p. O(vocab), plus a sort of the candidates that a cut leaves. */
export function createSampler({ options, logProbabilities, softmaxRows, state }: SamplerSettings): Sampler {
  const random = state ? xoroshiro128plusFromState(state) : xoroshiro128plus(options.seed);
  let penalised: Float32Array | undefined;
  let probabilities = new Float32Array(0);

  const logSumExp = (logits: Float32Array): number => {
    if (probabilities.length !== logits.length) probabilities = new Float32Array(logits.length);
    probabilities.set(logits);
    softmaxRows(probabilities, 1, logits.length);
    const best = argmax(logits);
    return logits[best] - Math.log(probabilities[best]);
  };

  const choose = (logits: Float32Array, seen: ReadonlySet<number>): number => {
    let scores = logits;
    if (options.repetitionPenalty !== 1) {
      penalised ??= new Float32Array(logits.length);
      penalised.set(logits);
      for (const id of seen)
        penalised[id] *= penalised[id] > 0 ? 1 / options.repetitionPenalty : options.repetitionPenalty;
      scores = penalised;
    }
    if (options.temperature === 0) return argmax(scores);
    return drawFrom(candidates(scores, options), uniformFloat64(random));
  };

  return {
    draw(logits, seen) {
      const id = choose(logits, seen);
      const normaliser = logSumExp(logits);
      const top = mostLikely(logits, logProbabilities).map((best) => ({
        id: best,
        logProbability: logits[best] - normaliser,
      }));
      return { id, logProbability: logits[id] - normaliser, top };
    },
    state: () => random.getState(),
  };
}

interface Candidates {
  readonly ids: number[];
  readonly weights: number[];
}

/** Below e^-40 of the most likely token, all tokens of any vocabulary together weigh less than a float64 rounding error. */
const negligible = 40;

function candidates(scores: Float32Array, options: SamplingOptions): Candidates {
  const best = scores[argmax(scores)];
  const floor = Math.max(-negligible, options.minP > 0 ? Math.log(options.minP) : -Infinity);
  const ids: number[] = [];
  for (let id = 0; id < scores.length; id++) if ((scores[id] - best) / options.temperature >= floor) ids.push(id);
  const cuts = options.topK > 0 || options.topP < 1;
  if (cuts) ids.sort((a, b) => scores[b] - scores[a] || a - b);
  if (options.topK > 0) ids.length = Math.min(ids.length, options.topK);
  const weights = ids.map((id) => Math.exp((scores[id] - best) / options.temperature));
  if (options.topP < 1) {
    const count = nucleus(weights, options.topP);
    return { ids: ids.slice(0, count), weights: weights.slice(0, count) };
  }
  return { ids, weights };
}

/** How many of the descending weights it takes to reach the share `p` of their sum. */
function nucleus(weights: readonly number[], p: number): number {
  const target = p * weights.reduce((sum, weight) => sum + weight, 0);
  let mass = 0;
  for (let count = 0; count < weights.length; count++) {
    mass += weights[count];
    if (mass >= target) return count + 1;
  }
  return weights.length;
}

function drawFrom({ ids, weights }: Candidates, uniform: number): number {
  const target = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  let mass = 0;
  for (let i = 0; i < ids.length; i++) {
    mass += weights[i];
    if (target < mass) return ids[i];
  }
  return ids[ids.length - 1];
}

function mostLikely(logits: Float32Array, count: number): number[] {
  if (count === 0) return [];
  return Array.from(logits.keys())
    .sort((a, b) => logits[b] - logits[a] || a - b)
    .slice(0, count);
}
