import { describe, expect, test } from "vitest";
import { PythonRandom } from "./python-random.js";

/** Expected values printed by CPython 3.11: `random.seed(s); random.randint(a, b)`. */
describe("PythonRandom", () => {
  const draw = (random: PythonRandom, count: number, from: number, to: number) =>
    Array.from({ length: count }, () => random.randint(from, to));

  test("draws what Python draws after seed(0)", () => {
    expect(draw(new PythonRandom(0), 10, 0, 999)).toEqual([864, 394, 776, 911, 430, 41, 265, 988, 523, 497]);
  });

  test("draws what Python draws for the largest seed, a single value, and the whole range of 32 bits", () => {
    const random = new PythonRandom(4294967295);
    expect(draw(random, 6, 0, 364867)).toEqual([333110, 324832, 106535, 112901, 318435, 273886]);
    expect(draw(random, 1, 5, 5)).toEqual([5]);
    expect(draw(random, 3, 0, 2 ** 32 - 1)).toEqual([2590083323, 4130059007, 3818874696]);
  });

  test("goes on beyond one refill of its state", () => {
    expect(draw(new PythonRandom(42), 1000, 0, 99999).slice(-3)).toEqual([37268, 61524, 62746]);
  });
});
