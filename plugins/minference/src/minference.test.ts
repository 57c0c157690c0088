import { fileURLToPath } from "node:url";
import {
  headsFirst,
  keeps,
  type Mask,
  type MaskerContext,
  maskStatistics,
  sliceHeads,
  validateMask,
  verticalSlashBlocks,
} from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { fixtures } from "./fixtures.js";
import plugin from "./index.js";
import { attendRow, attentionMap, best, keptBlocks, lineSums } from "./oracle.js";
import { createScratch, estimateLines, selectLines } from "./vertical-slash.js";

const operations = createReference();
const model = { layers: 3, queryHeads: 4, kvHeads: 2, headDim: 8, contextLength: 4096 };

type Options = z.input<typeof plugin.options>;

/** Sizes that leave something to choose in short prompts. */
const small = { verticalSize: 9, slashSize: 12, lastQueries: 16, sinkTokens: 4, recentTokens: 6 };

function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin((i + 1) ** 1.5 * 12.9898 + seed * 78.233));
}

function contextOf(n: number, layer = 0): MaskerContext {
  const { queryHeads, kvHeads, headDim: d } = model;
  return {
    model,
    layer,
    heads: { start: 0, end: queryHeads },
    q: headsFirst(values(queryHeads * n * d, 1), queryHeads, n, d),
    k: headsFirst(values(kvHeads * n * d, 2), kvHeads, n, d),
    scale: 1 / Math.sqrt(d),
    primitives: operations,
  };
}

function plan(context: MaskerContext, options: Options): readonly Mask[] {
  const masks = plugin.create(plugin.options.parse(options), model).plan(context);
  for (const mask of masks) validateMask(mask, context.q.length);
  return masks;
}

function lines(mask: Mask): { columns: number[]; slashes: number[] } {
  if (mask.form !== "vertical-slash") throw new Error(`expected a vertical-slash mask, got ${mask.form}`);
  return { columns: Array.from(mask.columns), slashes: Array.from(mask.slashes) };
}

function headRows(x: MaskerContext["q"], head: number): number[][] {
  const data = Array.from(x.data);
  const at = (t: number) => x.offset + head * x.headStride + t * x.tokenStride;
  return Array.from({ length: x.length }, (_, t) => data.slice(at(t), at(t) + x.headDim));
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("minference vertical-slash", () => {
  it("estimateLines sums the attention of the last queries along columns and diagonals", () => {
    const attention = [0.1, 0.2, 0.1, 0.1, 0.5, 0, 0.1, 0.1, 0.3, 0.1, 0.1, 0.3];
    const primitives = {
      ...operations,
      scores: (_: unknown, out: Float32Array) => out.set(attention),
      softmaxRows: () => {},
    };
    const { vertical, slash } = estimateLines({ ...contextOf(6), primitives }, 0, createScratch(6, 2));
    const rounded = (sums: Float32Array) => Array.from(sums, (sum) => Number(sum.toFixed(6)));
    expect(rounded(vertical)).toEqual([0.2, 0.3, 0.4, 0.2, 0.6, 0.3]);
    expect(rounded(slash)).toEqual([0.8, 0.2, 0.2, 0.5, 0.2, 0.1]);
  });

  it("selectLines ranks the forced columns and offsets first, and the lower index first among equals", () => {
    const scores = { vertical: Float32Array.of(0, 0, 5, 7, 5), slash: Float32Array.of(0, 1, 1, 1, 1) };
    const chosen = selectLines(scores, { v: 3, s: 3 }, { sinkTokens: 1, recentTokens: 1 }, operations);
    expect(Array.from(chosen.columns)).toEqual([0, 2, 3]);
    expect(Array.from(chosen.slashes)).toEqual([2, 1, 0]);
  });

  it("columns {0, 5} and offsets {0, 6} become the blocks and columns of the worked example (B = 4, n = 16)", () => {
    const cover = verticalSlashBlocks(Int32Array.of(0, 5), Int32Array.of(6, 0), 16, 4);
    const rowBlock = (a: number) => [
      Array.from(cover.blockOffset.subarray(cover.blockStarts[a], cover.blockStarts[a + 1])),
      Array.from(cover.columnIndex.subarray(cover.columnStarts[a], cover.columnStarts[a + 1])),
    ];
    expect(upTo(4).map(rowBlock)).toEqual([
      [[0], []],
      [[0, 4], []],
      [[2, 8], [0]],
      [
        [6, 12],
        [0, 5],
      ],
    ]);
  });

  it.each([13, 16, 63, 64, 65, 150])(
    "minference chooses the oracle's columns and diagonals in every head of %i tokens, two query heads per KV head",
    (n) => {
      const context = contextOf(n);
      plan(context, small).forEach((mask, head) => {
        const map = attentionMap(headRows(context.q, head), headRows(context.k, Math.floor(head / 2)));
        const { vertical, slash } = lineSums(map, Math.min(16, n));
        const { columns, slashes } = lines(mask);
        expect(columns).toEqual(best(vertical, 9, 4));
        expect(slashes).toEqual(best(slash, 12, 6).reverse());
      });
    },
  );

  it("minference chooses the lowest columns and diagonals when all scores are equal", () => {
    const context = contextOf(64);
    context.q.data.fill(0);
    // Columns that all 16 rows see hold equal sums up to rounding only; with one row they are equal.
    const [mask] = plan(context, { ...small, lastQueries: 1 });
    expect(lines(mask)).toEqual({ columns: upTo(9), slashes: upTo(12).reverse() });
  });

  it("minference computes every wanted pair, and the diagonal of every row", () => {
    const n = 150;
    const [mask] = plan(contextOf(n), small);
    const { columns, slashes } = lines(mask);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        const wanted = i === j || columns.includes(j) || slashes.includes(i - j);
        if (wanted) expect(keeps(mask, i, j, n)).toBe(true);
      }
    }
  });

  it("minference with s = recentTokens and v = sinkTokens is static: nothing is left to choose", () => {
    const [mask] = plan(contextOf(64), { ...small, verticalSize: 4, slashSize: 6 });
    expect(lines(mask)).toEqual({ columns: [0, 1, 2, 3], slashes: [5, 4, 3, 2, 1, 0] });
  });

  it("minference raises s to the forced 100 diagonals; with strictReference to 50, the nearest ones", () => {
    const options = { verticalSize: 30, slashSize: 1 };
    expect(lines(plan(contextOf(150), options)[0]).slashes).toEqual(upTo(100).reverse());
    expect(lines(plan(contextOf(150), { ...options, strictReference: true })[0]).slashes).toEqual(upTo(50).reverse());
  });

  it("minference scales both sizes by ratio and rounds down", () => {
    const [mask] = plan(contextOf(64), { ...small, verticalSize: 19, slashSize: 25, ratio: 0.5 });
    expect(lines(mask).columns).toHaveLength(9);
    expect(lines(mask).slashes).toHaveLength(12);
  });

  it("minference is dense where the columns or the diagonals of a head cover the prompt", () => {
    expect(plan(contextOf(64), { ...small, verticalSize: 64 })[0].form).toBe("dense");
    expect(plan(contextOf(64), { ...small, slashSize: 200 })[0].form).toBe("dense");
    expect(plan(contextOf(64), {}).map(({ form }) => form)).toEqual(["dense", "dense", "dense", "dense"]);
  });

  it("minference plans a head alone as among others", () => {
    const context = contextOf(90);
    const all = plan(context, small);
    for (let head = 0; head < 4; head++) {
      expect(plan({ ...context, heads: { start: head, end: head + 1 } }, small)).toEqual([all[head]]);
    }
  });

  it("minference attention over its cover equals softmax over the kept keys", () => {
    const n = 70;
    const { q, k, scale } = contextOf(n);
    const v = headsFirst(values(2 * n * 8, 3), 2, n, 8);
    const masks = plan(contextOf(n), small);
    const output = headsFirst(new Float32Array(4 * n * 8), 4, n, 8);
    operations.prefillAttention({ q, k, v, out: output, scale, masks });
    for (const head of [0, 3]) {
      const kvHead = Math.floor(head / 2);
      const [queries, keys, vals, out] = [
        headRows(q, head),
        headRows(k, kvHead),
        headRows(v, kvHead),
        headRows(output, head),
      ];
      for (let i = 0; i < n; i++) {
        attendRow(queries[i], keys, vals, i, (j) => keeps(masks[head], i, j, n)).forEach((expected, c) => {
          // Outputs stay below 2: one float32 rounding of the result, with room for the order of float64 sums.
          expect(Math.abs(out[i][c] - expected)).toBeLessThan(2 ** -22);
        });
      }
    }
  });

  it("minference refuses NaN in the queries instead of choosing by it", () => {
    const context = contextOf(64);
    context.q.data[63 * 8] = Number.NaN;
    expect(() => plan(context, small)).toThrow(expect.objectContaining({ code: "ERR_NON_FINITE" }));
  });
});

describe("minference dispatch", () => {
  const headConfig: Options["headConfig"] = [
    { 0: ["stream_llm", 3, 5, 1], 2: ["block_sparse", 1, 1, 1], 3: ["vertical_and_slash", 7, 8, 1] },
  ];

  it("minference gives each head its pattern; a missing head or layer takes verticalSize and slashSize", () => {
    const masks = plan(contextOf(100), { ...small, headConfig });
    expect(masks.map(({ form }) => form)).toEqual(["band", "vertical-slash", "blocks", "vertical-slash"]);
    expect(masks[0]).toMatchObject({ sinkTokens: 3, recentTokens: 5 });
    expect(lines(masks[1]).columns).toHaveLength(9);
    expect(lines(masks[3]).columns).toHaveLength(7);
    const otherLayer = plan(contextOf(100, 1), { ...small, headConfig });
    expect(otherLayer.map(({ form }) => form)).toEqual(new Array(4).fill("vertical-slash"));
  });

  it("minference keeps at least the query itself in an A-shape head of window 0", () => {
    const [mask] = plan(contextOf(20), { headConfig: [{ 0: ["stream_llm", 0, 0, 1] }] });
    expect(maskStatistics(mask, 20).keptPairs).toBe(20);
  });

  it("minference is dense below startingLayer and for one token", () => {
    expect(plan(contextOf(100, 1), { ...small, startingLayer: 2 })).toEqual([{ form: "dense" }]);
    expect(plan(contextOf(100, 2), { ...small, startingLayer: 2 })[0].form).toBe("vertical-slash");
    expect(plan(contextOf(1), small)).toEqual([{ form: "dense" }]);
  });

  it("minference refuses a startingLayer beyond the model", () => {
    const chosen = plugin.options.parse({ startingLayer: 4 });
    expect(plugin.check?.(chosen, model)).toEqual([
      { path: ["startingLayer"], message: "startingLayer must be in 0..model.layers (3), got 4. Lower it." },
    ]);
  });

  it.each([{ slashSize: 0 }, { ratio: 0 }, { lastQueries: 0 }, { keepBlocks: 0 }, { starting_layer: 1 }])(
    "minference refuses %j",
    (options) => {
      expect(plugin.options.safeParse(options).success).toBe(false);
    },
  );
});

describe("minference block-sparse", () => {
  const headConfig: Options["headConfig"] = [
    Object.fromEntries([0, 1, 2, 3].map((head) => [head, ["block_sparse", 8, 1, 1] as const])),
  ] as Options["headConfig"];

  it.each([5, 64, 65, 384, 500])("minference keeps the oracle's blocks in every head of %i tokens", (n) => {
    const context = contextOf(n);
    for (const strictReference of [false, true]) {
      plan(context, { headConfig, keepBlocks: 2, strictReference }).forEach((mask, head) => {
        if (mask.form !== "blocks") throw new Error(`expected blocks, got ${mask.form}`);
        const [q, k] = [headRows(context.q, head), headRows(context.k, Math.floor(head / 2))];
        const expected = keptBlocks(q, k, 64, 2, !strictReference);
        const blocks = expected.length;
        const actual = expected.map((_, a) => upTo(blocks).filter((b) => mask.bits[a * blocks + b] === 1));
        expect(actual).toEqual(expected);
      });
    }
  });

  it("minference always keeps the diagonal block, which strictReference may drop", () => {
    const context = contextOf(300);
    const diagonal = (strictReference: boolean) =>
      plan(context, { headConfig, keepBlocks: 1, strictReference }).map((mask) =>
        upTo(5).filter((a) => mask.form === "blocks" && mask.bits[a * 5 + a] === 1),
      );
    expect(diagonal(false)).toEqual(new Array(4).fill([0, 1, 2, 3, 4]));
    expect(diagonal(true)).not.toEqual(diagonal(false));
  });
});

describe("minference fixtures", () => {
  const files = fixtureFiles("minference", fileURLToPath(new URL("../fixtures", import.meta.url)));
  // The search over 3900 tokens multiplies some 600 million numbers in plain loops.
  const timeout = 300_000;
  it.each(files)(
    "minference reproduces the reference's outputs: %s",
    (path) => {
      const fixture = readFixture(path);
      expectFixture(fixture, fixtures.run(fixture, operations));
    },
    timeout,
  );

  it("minference reads a head slice of the queries as it reads all", () => {
    const context = contextOf(64);
    const alone = {
      ...context,
      model: { ...model, queryHeads: 1, kvHeads: 1 },
      q: sliceHeads(context.q, 3, 4),
      k: sliceHeads(context.k, 1, 2),
      heads: { start: 0, end: 1 },
    };
    expect(plan(alone, small)).toEqual([plan(context, small)[3]]);
  });
});
