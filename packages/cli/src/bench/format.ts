import type { AttentionShape, Spread } from "@winnow/evaluate/bench";

/** `median (smallest..largest)`; the range is left out where there is one sample. */
export function spread({ median, min, max, samples }: Spread, format: (value: number) => string): string {
  return samples.length === 1 ? format(median) : `${format(median)} (${format(min)}..${format(max)})`;
}

export function ratio(value: number): string {
  return `${value.toFixed(2)}x`;
}

export function shape({ queryHeads, kvHeads, headDim }: AttentionShape): string {
  return `${queryHeads}/${kvHeads} heads of ${headDim}`;
}

export function met(reached: boolean): string {
  return reached ? "met" : "missed";
}

/** A time given in milliseconds, with about three digits. */
export function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0)} ms`;
}
