import {
  type CompressContext,
  type ElementScorer,
  elementAt,
  headsFirst,
  type Operations,
  prunerFromElementScorer,
  type WinnowError,
} from "@winnow/core";
import { describe, expect, it } from "vitest";

const model = { layers: 1, queryHeads: 2, kvHeads: 2, headDim: 4, contextLength: 4096 };

/** Sorts every row: larger first, then the lower index. */
const primitives = {
  topKRows: (values: Float32Array, rows: number, columns: number, k: number) =>
    Int32Array.from(
      Array.from({ length: rows }, (_, row) => {
        const order = Array.from({ length: columns }, (_, c) => c);
        order.sort((a, b) => values[row * columns + b] - values[row * columns + a] || a - b);
        return order.slice(0, k).sort((a, b) => a - b);
      }).flat(),
    ),
} as Pick<Operations, "topKRows"> as Operations;

/** `m` uncompressed tokens; element (head, token, c) differs in sign and size. */
function contextOf(m: number, compressed = 0): CompressContext {
  const rows = (salt: number) =>
    headsFirst(
      Float32Array.from({ length: 2 * m * 4 }, (_, i) => ((i * 7 + salt) % 11) - 5),
      2,
      m,
      4,
    );
  return { model, layer: 0, k: rows(1), v: rows(4), compressed, primitives };
}

/** Scores are magnitudes; `calls` receives the number of tokens of each call. */
function magnitudes(changes: Partial<ElementScorer> = {}, calls: number[] = []): ElementScorer {
  return {
    recentTokens: 3,
    groupTokens: 2,
    kept: () => ({ k: 2, v: 3 }),
    score(context, part) {
      const x = context[part];
      calls.push(x.length);
      return Float32Array.from({ length: x.heads * x.length * x.headDim }, (_, i) =>
        Math.abs(elementAt(x, Math.floor(i / (x.length * 4)), Math.floor(i / 4) % x.length, i % 4)),
      );
    },
    ...changes,
  };
}

/** The best `kept` elements of each row of the first `count` tokens, again as plain loops. */
function naive(context: CompressContext, part: "k" | "v", count: number, kept: number): number[] {
  const x = context[part];
  const all: number[] = [];
  for (let head = 0; head < 2; head++) {
    for (let token = 0; token < count; token++) {
      const size = (c: number) => Math.abs(elementAt(x, head, token, c));
      const beats = (a: number, b: number) => size(a) > size(b) || (size(a) === size(b) && a < b);
      for (let c = 0; c < 4; c++) {
        const better = [0, 1, 2, 3].filter((other) => other !== c && beats(other, c)).length;
        if (better < kept) all.push(c);
      }
    }
  }
  return all;
}

describe("prunerFromElementScorer", () => {
  it.each([
    [1, 0],
    [4, 0],
    [5, 2],
    [6, 2],
    [7, 4],
    [2053, 2050],
  ])("recentTokens 3, groupTokens 2: of %i uncompressed tokens the first %i are compressed", (m, count) => {
    const context = contextOf(m);
    const result = prunerFromElementScorer(magnitudes()).compress?.(context, null);
    if (count === 0) return expect(result).toBeUndefined();
    expect(result?.count).toBe(count);
    expect(result?.k.kept).toBe(2);
    expect(Array.from(result?.k.indices ?? [])).toEqual(naive(context, "k", count, 2));
    expect(Array.from(result?.v.indices ?? [])).toEqual(naive(context, "v", count, 3));
  });

  it("scores come in pieces of whole groups: groups of 700 one by one, groups of 400 two at a time", () => {
    for (const [groupTokens, pieces] of [
      [700, [700, 700]],
      [400, [800, 400]],
    ] as const) {
      const calls: number[] = [];
      prunerFromElementScorer(magnitudes({ groupTokens }, calls)).compress?.(contextOf(1500), null);
      expect(calls).toEqual([...pieces, ...pieces]);
    }
  });

  it("a piece knows how many tokens stand before it", () => {
    const seen: number[] = [];
    const scorer = magnitudes();
    const score: ElementScorer["score"] = (context, part) => {
      seen.push(context.compressed);
      return scorer.score(context, part);
    };
    prunerFromElementScorer({ ...scorer, score }).compress?.(contextOf(1100, 50), null);
    expect(seen).toEqual([50, 1074, 50, 1074]);
  });

  it.each([
    ["recentTokens 0", { recentTokens: 0 }, /recentTokens must be an integer of at least 1, got 0/],
    ["groupTokens 1.5", { groupTokens: 1.5 }, /groupTokens must be an integer of at least 1, got 1.5/],
    ["0 elements of K", { kept: () => ({ k: 0, v: 1 }) }, /kept\(d\)\.k must be an integer in 1\.\.4, got 0/],
    ["5 of 4 elements of V", { kept: () => ({ k: 1, v: 5 }) }, /kept\(d\)\.v must be an integer in 1\.\.4, got 5/],
    ["too few scores", { score: () => new Float32Array(31) }, /scores of k must be .* 2 x 4 x 4 numbers, got 31/],
    ["no scores", { score: () => undefined as unknown as Float32Array }, /scores of k must be .*, got undefined/],
  ])("%s is refused", (_, changes, message) => {
    const run = () => prunerFromElementScorer(magnitudes(changes)).compress?.(contextOf(7), null);
    expect(run).toThrow(
      expect.objectContaining({ code: "ERR_PLUGIN_RESULT", message: expect.stringMatching(message) }) as WinnowError,
    );
  });
});
