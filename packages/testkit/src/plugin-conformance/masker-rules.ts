import { elementAt, keeps, kvHeadOf, maskStatistics } from "@winnow/core";
import { attempt, requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { emptyRow, futureKey, maskPicture, pictureDifference } from "./mask-picture.js";
import { maskerContext, planHeads, planPictures } from "./masker-run.js";
import { requireRefusal } from "./nan-rule.js";
import { makePrompt, otherLayout, type Prompt, withNaN } from "./prompts.js";
import type { MaskOracle } from "./subject.js";

/** In every layer, for the first has no special place in the contract. */
export function checkValid(maker: Maker, prompt: Prompt): undefined {
  const masker = maker.masker(prompt.model);
  for (let layer = 0; layer < prompt.model.layers; layer++) planPictures(masker, prompt, { layer });
}

export function checkCausal(maker: Maker, prompt: Prompt): undefined {
  for (const [head, mask] of planHeads(maker.masker(), prompt).entries()) {
    const future = futureKey(mask, prompt.n);
    requireThat(future === undefined, `no key after its query in the mask of head ${head}`, () => future!);
  }
}

export function checkRows(maker: Maker, prompt: Prompt): undefined {
  for (const [head, mask] of planHeads(maker.masker(), prompt).entries()) {
    const picture = attempt("a mask that can be lowered", () => maskPicture(mask, prompt.n));
    const row = emptyRow(picture, prompt.n);
    requireThat(row === undefined, `a key in every row of head ${head}`, () => `none in row ${row}`);
  }
}

export function checkNaN(maker: Maker, prompt: Prompt): string | undefined {
  const other = makePrompt({ name: "another prompt", n: prompt.n, seed: 2 });
  return requireRefusal(
    "q and k",
    () => planPictures(maker.masker(), withNaN(prompt)),
    () => planPictures(maker.masker(), other),
    (actual, expected) => pictureDifference(actual, expected, prompt.n),
  );
}

export function checkInputsUnchanged(maker: Maker, prompt: Prompt): undefined {
  const before = { q: prompt.q.data.slice(), k: prompt.k.data.slice() };
  planHeads(maker.masker(), prompt);
  for (const name of ["q", "k"] as const) {
    const at = prompt[name].data.findIndex((value, e) => !Object.is(value, before[name][e]));
    requireThat(at < 0, `${name} to stay as it was`, () => `${before[name][at]} turned into ${prompt[name].data[at]}`);
  }
}

/** The keys of {@link makePrompt} are exact in bf16. */
export function checkBf16(maker: Maker, prompt: Prompt): undefined {
  const rounded = makePrompt({ name: "keys in bf16", n: prompt.n, dtype: "bf16" });
  const difference = pictureDifference(
    planPictures(maker.masker(), rounded),
    planPictures(maker.masker(), prompt),
    prompt.n,
  );
  requireThat(
    difference === undefined,
    "the same masks for keys in bf16 as for the same keys in f32",
    () => `another choice at ${difference}`,
  );
}

export function checkLayout(maker: Maker, prompt: Prompt): undefined {
  const moved = { ...prompt, q: otherLayout(prompt.q), k: otherLayout(prompt.k) };
  const difference = pictureDifference(
    planPictures(maker.masker(), moved),
    planPictures(maker.masker(), prompt),
    prompt.n,
  );
  requireThat(
    difference === undefined,
    "the masks of [h, n, d] for the same numbers as [n, h, d] behind an offset",
    () => `another choice at ${difference}`,
  );
}

export function checkHeadRange(maker: Maker, prompt: Prompt): undefined {
  const [start, end] = [1, prompt.model.queryHeads - 1];
  const whole = planPictures(maker.masker(), prompt).slice(start, end);
  const part = planPictures(maker.masker(), prompt, { heads: { start, end } });
  const difference = pictureDifference(part, whole, prompt.n, start);
  requireThat(
    difference === undefined,
    `the masks of heads ${start} to ${end - 1} when only these are asked for`,
    () => `another choice at ${difference}`,
  );
}

export function checkDensity(maker: Maker, prompt: Prompt): string {
  const { n } = prompt;
  const densities = planHeads(maker.masker(), prompt).map((mask, head) => {
    const { keptPairs, density } = attempt("a mask whose pairs can be counted", () => maskStatistics(mask, n));
    let kept = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) if (keeps(mask, i, j, n)) kept++;
    requireThat(kept === keptPairs, `${kept} pairs in the statistics of head ${head}`, `${keptPairs}`);
    return density;
  });
  return `density ${range(densities)}`;
}

/** Share of the softmax attention of each row that its mask keeps, mean over rows; float64. */
export function measureRecall(maker: Maker, prompt: Prompt): string {
  const pictures = planPictures(maker.masker(), prompt);
  const recalls = pictures.map((picture, head) => {
    let total = 0;
    for (let i = 0; i < prompt.n; i++) total += rowRecall(prompt, head, i, picture);
    return total / prompt.n;
  });
  return `recall of attention ${range(recalls)}`;
}

function rowRecall({ q, k, model, scale, n }: Prompt, head: number, i: number, picture: Uint8Array): number {
  const kvHead = kvHeadOf(head, model);
  const scores = Array.from({ length: i + 1 }, (_, j) => {
    let sum = 0;
    for (let c = 0; c < q.headDim; c++) sum += elementAt(q, head, i, c) * elementAt(k, kvHead, j, c);
    return scale * sum;
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const all = weights.reduce((a, b) => a + b, 0);
  return weights.reduce((kept, weight, j) => kept + picture[i * n + j] * weight, 0) / all;
}

function range(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(3));
  return low === high ? low : `${low} to ${high}`;
}

export function checkOracle(maker: Maker): undefined {
  const oracle = maker.subject.oracle as MaskOracle;
  const settings = [1, 7, 63, 64, 65, 131, 200].map((n) => ({ name: `a prompt of ${n} tokens`, n, seed: n }));
  for (const prompt of settings.map(makePrompt)) {
    const { n } = prompt;
    const keepsPair = oracle(maskerContext(prompt, {}), maker.options());
    const expected = Array.from({ length: prompt.model.queryHeads }, (_, head) =>
      Uint8Array.from({ length: n * n }, (_, e) => {
        const [i, j] = [Math.floor(e / n), e % n];
        return j <= i && keepsPair(head, i, j) ? 1 : 0;
      }),
    );
    const difference = pictureDifference(planPictures(maker.masker(), prompt), expected, n);
    requireThat(
      difference === undefined,
      `the pairs of the oracle for ${prompt.name}`,
      () => `another choice at ${difference}`,
    );
  }
}
