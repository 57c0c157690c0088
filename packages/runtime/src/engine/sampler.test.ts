import { createReference } from "@winnow/kernels-reference";
import { expect, test } from "vitest";
import { type SamplingOptions, samplingSchema } from "./generation-options.js";
import { createSampler, type SamplerState } from "./sampler.js";

const logits = Float32Array.of(1, 3, 2, 3, -5);
const none: ReadonlySet<number> = new Set();

const { softmaxRows } = createReference();

function samplerOf(options: SamplingOptions, logProbabilities = 0, state?: SamplerState) {
  return createSampler({ options, logProbabilities, softmaxRows, state });
}

function sampler(options: Record<string, number>, top = 0) {
  return samplerOf(samplingSchema.parse(options), top);
}

/** Share of each id in many draws. */
function frequencies(options: Record<string, number>, values: Float32Array, draws = 20_000): number[] {
  const drawing = sampler({ seed: 5, ...options });
  const counts = new Array<number>(values.length).fill(0);
  for (let i = 0; i < draws; i++) counts[drawing.draw(values, none).id]++;
  return counts.map((count) => count / draws);
}

function softmax(values: readonly number[]): number[] {
  const exponentials = values.map(Math.exp);
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}

/** Five standard deviations of a share p over n draws. */
function spread(p: number, n = 20_000): number {
  return 5 * Math.sqrt((p * (1 - p)) / n) + 1e-12;
}

test("temperature 0 takes the most likely token, the lower id of equals", () => {
  expect(sampler({}).draw(logits, none).id).toBe(1);
});

test("temperature 1 draws ids as often as their probability says", () => {
  const expected = softmax([...logits]);
  frequencies({ temperature: 1 }, logits).forEach((share, id) => {
    expect(Math.abs(share - expected[id])).toBeLessThan(spread(expected[id]));
  });
});

test("temperature divides logits before the softmax", () => {
  const expected = softmax([...logits].map((logit) => logit / 2));
  frequencies({ temperature: 2 }, logits).forEach((share, id) => {
    expect(Math.abs(share - expected[id])).toBeLessThan(spread(expected[id]));
  });
});

test("topK 2 keeps the two best, ties by lower id", () => {
  const shares = frequencies({ temperature: 1, topK: 2 }, Float32Array.of(0, 1, 1, 1));
  expect(shares[0]).toBe(0);
  expect(shares[3]).toBe(0);
  expect(Math.abs(shares[1] - 0.5)).toBeLessThan(spread(0.5));
});

test("topP keeps the smallest set that reaches p: probabilities .5 .3 .2 with p = .7 leave .625 and .375", () => {
  const shares = frequencies(
    { temperature: 1, topP: 0.7 },
    Float32Array.of(Math.log(0.5), Math.log(0.3), Math.log(0.2)),
  );
  expect(shares[2]).toBe(0);
  expect(Math.abs(shares[0] - 0.625)).toBeLessThan(spread(0.625));
});

test("minP drops tokens less likely than p times the best: .5 .3 .2 with p = .5 drops .2", () => {
  const shares = frequencies(
    { temperature: 1, minP: 0.5 },
    Float32Array.of(Math.log(0.5), Math.log(0.3), Math.log(0.2)),
  );
  expect(shares[2]).toBe(0);
  expect(shares[1]).toBeGreaterThan(0);
});

test("repetitionPenalty divides positive and multiplies negative logits of seen ids", () => {
  expect(sampler({ repetitionPenalty: 2 }).draw(Float32Array.of(3, 2, 1), new Set([0])).id).toBe(1);
  expect(sampler({ repetitionPenalty: 4 }).draw(Float32Array.of(-1, -2, -3), new Set([0])).id).toBe(1);
});

test("seed gives the same draws, and state goes on where a sampler stopped", () => {
  const options = samplingSchema.parse({ temperature: 1, seed: 9 });
  const whole = samplerOf(options);
  const expected = Array.from({ length: 20 }, () => whole.draw(logits, none).id);
  const first = samplerOf(options);
  const ids = Array.from({ length: 7 }, () => first.draw(logits, none).id);
  const second = samplerOf(options, 0, structuredClone(first.state()));
  ids.push(...Array.from({ length: 13 }, () => second.draw(logits, none).id));
  expect(ids).toEqual(expected);
});

test("logProbability is the natural log of the softmax, before temperature and penalty", () => {
  const { logProbability, top } = sampler({ repetitionPenalty: 3 }, 2).draw(logits, new Set([1]));
  const expected = softmax([...logits]).map(Math.log);
  expect(logProbability).toBeCloseTo(expected[3], 6);
  expect(top.map(({ id }) => id)).toEqual([1, 3]);
  expect(top[0].logProbability).toBeCloseTo(expected[1], 6);
});
