import { describe, expect, test } from "vitest";
import { pythonWindows, seededWindows } from "./sample-windows.js";

const counting = (n: number) => Int32Array.from({ length: n }, (_, index) => index);
const startsOf = (windows: readonly Int32Array[]) => windows.map((window) => window[0]);

describe("seededWindows", () => {
  const draw = (tokens: number, settings: { sequences: number; length: number; seed?: number }) =>
    seededWindows(counting(tokens), { seed: 0, ...settings }, "text");

  test("gives windows of consecutive tokens that do not overlap where they fit", () => {
    for (let seed = 0; seed < 50; seed++) {
      const windows = draw(103, { sequences: 10, length: 10, seed });
      expect(windows.map((window) => Array.from(window, (id) => id - window[0]))).toEqual(
        Array(10).fill([...Array(10).keys()]),
      );
      const starts = startsOf(windows);
      expect(starts.every((start, index) => index === 0 || start >= starts[index - 1] + 10)).toBe(true);
      expect(starts[9] + 10).toBeLessThanOrEqual(103);
    }
  });

  test("covers a text that has exactly the tokens of all windows", () => {
    expect(startsOf(draw(30, { sequences: 3, length: 10 }))).toEqual([0, 10, 20]);
  });

  test("gives the only window of a text of its length", () => {
    expect(startsOf(draw(10, { sequences: 1, length: 10 }))).toEqual([0]);
  });

  test("gives overlapping windows of a short text, all inside it", () => {
    const starts = startsOf(draw(15, { sequences: 20, length: 10 }));
    expect(Math.min(...starts)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...starts)).toBeLessThanOrEqual(5);
    expect(new Set(starts).size).toBeGreaterThan(1);
  });

  test("gives the same windows for the same seed and others for another", () => {
    const starts = (seed: number) => startsOf(draw(100_000, { sequences: 8, length: 16, seed }));
    expect(starts(1)).toEqual(starts(1));
    expect(starts(1)).not.toEqual(starts(2));
  });

  test("refuses a text shorter than one window, saying how many tokens it has", () => {
    expect(() => draw(9, { sequences: 1, length: 10 })).toThrow(/"text": it holds 9 tokens, but a window takes 10/);
  });
});

describe("pythonWindows", () => {
  /** A document "a:b" has the tokens a..b-1. */
  const encode = (text: string) => {
    const [from, to] = text.split(":").map(Number);
    return counting(to).slice(from);
  };
  const documents = ["0:3", "100:140", "200:205", "300:311", "400:410", "500:600"];

  /** CPython 3.11, `random.seed(7)`: the loop of the reference code over these documents with windows of 10 tokens. */
  test("draws the documents and starts that Python draws", () => {
    const windows = pythonWindows(documents, encode, { sequences: 8, length: 10, seed: 7 }, "text");
    expect(startsOf(windows)).toEqual([112, 506, 101, 300, 102, 300, 120, 574]);
    expect(windows.every((window) => window.length === 10)).toBe(true);
  });

  test("refuses documents that are all too short, a document of exactly one window among them", () => {
    const draw = () => pythonWindows(["0:10", "0:4"], encode, { sequences: 1, length: 10, seed: 0 }, "folder");
    expect(draw).toThrow(/"folder": it has 2 documents, the longest of 10 tokens.*sampling to seeded/);
  });
});
