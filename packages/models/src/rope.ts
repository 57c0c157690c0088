import { WinnowError } from "@winnow/core";
import type { RopeConfig, RopeScaling } from "./rope-config.js";

/**
 * Cosines and sines of positions 0..positions - 1, `[positions, headDim / 2]` each, times the attention factor of YaRN.
 * Plain data on shared memory: workers receive it without a copy.
 */
export interface RopeTable {
  readonly positions: number;
  readonly headDim: number;
  readonly cos: Float32Array<SharedArrayBuffer>;
  readonly sin: Float32Array<SharedArrayBuffer>;
}

const f32 = Math.fround;

/**
 * Inverse frequencies, `[headDim / 2]`, with every step rounded to float32 in the order in which Hugging Face computes it:
 * an angle at position 100000 shows a relative error of 1e-7 as one of 0.01.
 */
export function inverseFrequencies(rope: RopeConfig, headDim: number): Float32Array {
  const powers = Float32Array.from({ length: headDim / 2 }, (_, i) => rope.theta ** f32((2 * i) / headDim));
  const plain = powers.map((power) => 1 / power);
  const { scaling } = rope;
  switch (scaling.type) {
    case "default":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "llama3":
      return plain.map((frequency) => scaleLlama3(frequency, scaling));
    case "yarn":
      return scaleYarn(powers, plain, rope.theta, headDim, scaling);
  }
}

/** Long waves are stretched by `factor`, short ones kept, those between blended linearly in old context / wavelength. */
function scaleLlama3(frequency: number, s: Extract<RopeScaling, { type: "llama3" }>): number {
  const wavelength = f32(f32(2 * Math.PI) / frequency);
  if (wavelength > s.originalContextLength / s.lowFreqFactor) return frequency / s.factor;
  if (wavelength < s.originalContextLength / s.highFreqFactor) return frequency;
  const turns = f32(s.originalContextLength / wavelength);
  const smooth = f32(f32(turns - s.lowFreqFactor) / f32(s.highFreqFactor - s.lowFreqFactor));
  return f32(f32(f32(1 - smooth) * frequency) / s.factor) + f32(smooth * frequency);
}

/** YaRN, eq. 17-20: a ramp over channels from plain frequencies (many turns in the old context) to stretched ones (few). */
function scaleYarn(
  powers: Float32Array,
  plain: Float32Array,
  theta: number,
  headDim: number,
  s: Extract<RopeScaling, { type: "yarn" }>,
): Float32Array {
  const channelOfTurns = (turns: number) =>
    (headDim * Math.log(s.originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const round = s.truncate ? { down: Math.floor, up: Math.ceil } : { down: Number, up: Number };
  const low = Math.max(round.down(channelOfTurns(s.betaFast)), 0);
  const high = Math.min(round.up(channelOfTurns(s.betaSlow)), headDim - 1);
  const width = low === high ? 0.001 : high - low;
  return plain.map((frequency, channel) => {
    const ramp = Math.min(1, Math.max(0, f32(f32(channel - low) / f32(width))));
    const keep = f32(1 - ramp);
    const stretched = f32(1 / f32(s.factor * powers[channel]));
    return f32(stretched * f32(1 - keep)) + f32(frequency * keep);
  });
}

/**
 * Table for positions 0..positions - 1: `angle = float32(float32(inverse frequency) * position)`, cosine and sine in float64, rounded once.
 * Cost: O(positions * headDim), about 0.1 us an element; 4 bytes each for cos and sin.
 */
export function createRopeTable(rope: RopeConfig, headDim: number, positions: number): RopeTable {
  if (!Number.isSafeInteger(positions) || positions < 1 || !Number.isSafeInteger(headDim / 2) || headDim < 2) {
    throw new WinnowError(
      "ERR_OPERATION_ARGUMENT",
      `Cannot create a RoPE table: positions must be a positive integer and headDim a positive even one, got ${positions} and ${headDim}.`,
    );
  }
  const half = headDim / 2;
  const frequencies = inverseFrequencies(rope, headDim);
  const attentionFactor = rope.scaling.type === "yarn" ? rope.scaling.attentionFactor : 1;
  const cos = new Float32Array(new SharedArrayBuffer(positions * half * 4));
  const sin = new Float32Array(new SharedArrayBuffer(positions * half * 4));
  for (let position = 0, at = 0; position < positions; position++) {
    for (let channel = 0; channel < half; channel++, at++) {
      const angle = f32(frequencies[channel] * position);
      cos[at] = Math.cos(angle) * attentionFactor;
      sin[at] = Math.sin(angle) * attentionFactor;
    }
  }
  return { positions, headDim, cos, sin };
}
