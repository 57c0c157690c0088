import { WinnowError } from "@winnow/core";

/** Some tokens of a text, and how many of them, the last ones, count. */
export interface Window {
  readonly start: number;
  readonly end: number;
  readonly scored: number;
}

/**
 * Non-overlapping windows of `length` tokens, all but the first token of each scored; what is left at the end is dropped. With a `stride` below `length`
 * (the sliding protocol): windows end every `stride` tokens, are up to `length` long, and only their last `stride` tokens count (of the first one all but
 * its first token). Errors: `ERR_PROMPT` if not one window fits.
 */
export function windowsOf(tokens: number, length: number, stride = length, limit = Number.POSITIVE_INFINITY): Window[] {
  if (tokens < length) {
    throw new WinnowError(
      "ERR_PROMPT",
      `The text has ${tokens} tokens, fewer than one window of ${length}. Give a longer text, or a shorter length.`,
    );
  }
  const count = Math.min(limit, Math.floor(tokens / stride));
  return Array.from({ length: count }, (_, index) => {
    const end = (index + 1) * stride;
    const start = Math.max(0, end - length);
    return { start, end, scored: Math.min(stride, end - start - 1) };
  });
}
