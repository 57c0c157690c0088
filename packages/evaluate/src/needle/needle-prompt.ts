import { WinnowError } from "@winnow/core";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { adjectives, nouns } from "./words.js";

export interface NeedleOptions {
  /** Tokens of prompt and answer together, as RULER counts. */
  readonly length: number;
  /** Tokens kept free for the answer. */
  readonly answerTokens: number;
  /** Where the needle goes, as a share of the haystack's sentences, in [0, 1]. */
  readonly depth: number;
  readonly seed: number;
  readonly sentences: readonly string[];
}

export interface NeedlePrompt {
  readonly text: string;
  readonly ids: Int32Array;
  readonly key: string;
  /** The 7-digit number that the answer must contain. */
  readonly answer: string;
  /** Where the needle's sentence starts, in tokens. */
  readonly needlePosition: number;
}

/** Tokenizer of the model under test. */
export type Encode = (text: string) => Promise<Int32Array>;

/**
 * A single-needle retrieval prompt in RULER's form (essay haystack, word key, number value), followed by the start of the answer.
 * The haystack is as long as fits: one sentence more would exceed `length`. A haystack that is too short is repeated.
 * Same options and tokenizer: same prompt. Cost: a handful of tokenizations of the whole prompt.
 *
 * Source: Hsieh et al. 2024, arXiv 2404.06654, section 3.1 and appendix B.
 */
export async function buildNeedlePrompt(encode: Encode, options: NeedleOptions): Promise<NeedlePrompt> {
  const random = xoroshiro128plus(options.seed);
  const pick = (words: readonly string[]) => words[uniformInt(random, 0, words.length - 1)];
  const key = `${pick(adjectives)}-${pick(nouns)}`;
  const answer = String(uniformInt(random, 1_000_000, 9_999_999));
  const first = uniformInt(random, 0, options.sentences.length - 1);
  const needle = `One of the special magic numbers for ${key} is: ${answer}.`;
  const budget = options.length - options.answerTokens;

  const compose = (count: number) => {
    const haystack = Array.from(
      { length: count },
      (_, index) => options.sentences[(first + index) % options.sentences.length],
    );
    const needleAt = Math.round(count * options.depth);
    const head = introduction + haystack.slice(0, needleAt).join(" ");
    const tail = [needle, ...haystack.slice(needleAt)].join(" ");
    return { head, text: `${head}${needleAt > 0 ? " " : ""}${tail}\n${question(key)}` };
  };
  const tokens = async (count: number) => (await encode(compose(count).text)).length;
  const count = await largestFitting(tokens, budget, options);
  const { text, head } = compose(count);
  return { text, ids: await encode(text), key, answer, needlePosition: (await encode(head)).length };
}

const introduction =
  "Some special magic numbers are hidden within the following text. Make sure to memorize them. I will quiz you about the numbers afterwards.\n";

function question(key: string): string {
  return `What is the special magic number for ${key} mentioned in the provided text? The special magic number for ${key} mentioned in the provided text is`;
}

/** Largest number of sentences whose prompt has at most `budget` tokens, by secant steps inside a shrinking bracket. */
async function largestFitting(
  tokens: (count: number) => Promise<number>,
  budget: number,
  options: NeedleOptions,
): Promise<number> {
  const base = await tokens(0);
  if (base > budget) {
    throw new WinnowError(
      "ERR_PROMPT",
      `A needle prompt needs at least ${base + options.answerTokens} tokens (question and ${options.answerTokens} for the answer), got length ${options.length}. Raise length.`,
    );
  }
  let fits = 0;
  let fitsTokens = base;
  let exceeds = Number.POSITIVE_INFINITY;
  let perSentence = 30;
  while (exceeds - fits > 1) {
    const guess = fits + Math.max(1, Math.floor((budget - fitsTokens) / perSentence));
    const count = Math.min(guess, exceeds - 1);
    const used = await tokens(count);
    perSentence = Math.max(1, (used - base) / count);
    if (used <= budget) [fits, fitsTokens] = [count, used];
    else exceeds = count;
  }
  return fits;
}

/** Whether an answer names the number: RULER's string match. */
export function answersNeedle(text: string, prompt: Pick<NeedlePrompt, "answer">): boolean {
  return text.includes(prompt.answer);
}
