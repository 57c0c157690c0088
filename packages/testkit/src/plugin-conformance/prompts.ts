import { type FloatDtype, type HeadTensor, headsFirst, type ModelShape, tokensFirst } from "@winnow/core";
import { Seeded, toStored } from "../seeded.js";
import { smallModel } from "./subject.js";

/** Queries and keys of one layer of a made-up prompt. */
export interface Prompt {
  /** For messages, e.g. `130 tokens`. */
  readonly name: string;
  readonly model: ModelShape;
  readonly n: number;
  readonly q: HeadTensor;
  readonly k: HeadTensor;
  readonly v: HeadTensor;
  readonly scale: number;
}

export interface PromptSettings {
  readonly name: string;
  readonly n: number;
  readonly seed?: number;
  readonly queryHeads?: number;
  readonly kvHeads?: number;
  readonly dtype?: FloatDtype;
  /** Every element is multiplied by this. */
  readonly magnitude?: number;
  /** All queries and keys equal. */
  readonly flat?: boolean;
}

/**
 * A prompt with the structure that attention has: a few keys that all queries like (the first token among them), neighbours that are alike, and noise.
 * Reproducible; values of the keys are exact in bf16.
 */
export function makePrompt(settings: PromptSettings): Prompt {
  const { n, seed = 1, queryHeads = 4, kvHeads = 2, dtype = "f32", magnitude = 1, flat = false } = settings;
  const model = { ...smallModel, queryHeads, kvHeads };
  const d = model.headDim;
  const seeded = new Seeded(seed);
  const popular = seeded.normals(d);
  const drift = walk(seeded, n, d);
  const vectors = (heads: number, isKey: boolean) =>
    Float32Array.from({ length: heads * n * d }, (_, e) => {
      const [token, channel] = [Math.floor(e / d) % n, e % d];
      if (flat) return magnitude;
      const liked = isKey ? (token % 29 === 0 ? 1.5 : 0) : 1;
      return magnitude * (seeded.normal() + liked * popular[channel] + drift[token * d + channel]);
    });
  const q = headsFirst(vectors(queryHeads, false), queryHeads, n, d);
  const stored = (x: Float32Array) => headsFirst(toStored(toExact(x), dtype), kvHeads, n, d);
  const k = stored(vectors(kvHeads, true));
  const v = stored(seeded.normals(kvHeads * n * d));
  return { name: settings.name, model, n, q, k, v, scale: 1 / Math.sqrt(d) };
}

/** The same numbers in the layout of projections, `[n, heads * d]`, behind some other numbers. */
export function otherLayout(x: HeadTensor): HeadTensor {
  const { heads, length, headDim, dtype } = x;
  const offset = 5;
  const values = new Float32Array(offset + heads * length * headDim).fill(77);
  const view = tokensFirst(toStored(values, dtype), heads, length, headDim);
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < length; token++) {
      const from = x.offset + head * x.headStride + token * x.tokenStride;
      view.data.set(x.data.subarray(from, from + headDim), offset + (token * heads + head) * headDim);
    }
  return { ...view, offset };
}

/** NaN in place of every key, and of the queries from `firstQuery` on. */
export function withNaN(prompt: Prompt, firstQuery = prompt.n - 1): Prompt {
  const spoiled = (x: HeadTensor, from: number): HeadTensor => {
    const data = x.data.slice();
    const nan = x.dtype === "bf16" ? 0x7fc0 : Number.NaN;
    for (let e = 0; e < data.length; e++) if (Math.floor(e / x.headDim) % x.length >= from) data[e] = nan;
    return { ...x, data };
  };
  return { ...prompt, q: spoiled(prompt.q, firstQuery), k: spoiled(prompt.k, 0) };
}

function toExact(x: Float32Array): Float32Array {
  const bits = new Uint32Array(x.buffer);
  for (let e = 0; e < bits.length; e++) bits[e] &= 0xffff0000;
  return x;
}

function walk(seeded: Seeded, n: number, d: number): Float32Array {
  const steps = seeded.normals(n * d);
  for (let e = d; e < n * d; e++) steps[e] = 0.9 * steps[e - d] + 0.4 * steps[e];
  return steps;
}
