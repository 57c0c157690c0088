import { fileURLToPath } from "node:url";
import { type CompressContext, type FloatDtype, headsFirst, prunerFromElementScorer } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { expectFixture, fixtureFiles, readFixture, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { elementsKept } from "./mustafar.js";
import { oracleKept } from "./oracle.js";
import { tilesOf } from "./tiles.js";

const operations = createReference();

/** Elements of K and V that stay of these tokens, one head, with room for `recent` tokens after them. */
function keptOf(rows: readonly (readonly number[])[], given: object): { k: number[][]; v: number[][] } {
  const d = rows[0].length;
  const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: d, contextLength: 4096 };
  const pruner = prunerFromElementScorer(plugin.create(plugin.options.parse(given), model));
  const x = headsFirst(Float32Array.from(rows.flat()), 1, rows.length, d);
  const result = pruner.compress!({ model, layer: 0, k: x, v: x, compressed: 0, primitives: operations }, null);
  const listed = (part: "k" | "v") =>
    Array.from({ length: result?.count ?? 0 }, (_, row) => {
      const { kept, indices } = result![part];
      return Array.from(indices.subarray(row * kept, (row + 1) * kept));
    });
  return { k: listed("k"), v: listed("v") };
}

describe("mustafar", () => {
  it.each([
    [128, 0.7, 40],
    [128, 0.5, 65],
    [128, 0, 128],
    [64, 0.9, 8],
    [64, 0.01, 64],
    [8, 0.5, 5],
    [1, 0.5, 1],
  ])("d = %i at sparsity %d keeps d - max(1, floor(s d)) + 1 = %i elements", (d, sparsity, kept) => {
    expect(elementsKept(d, sparsity)).toBe(kept);
  });

  it("x = (0.1, -0.9, 0.3, 0.7, -0.2, 0.5, -0.4, 0.05) at 0.5 keeps five elements, not four (worked example)", () => {
    const x = [0.1, -0.9, 0.3, 0.7, -0.2, 0.5, -0.4, 0.05];
    const options = { keySparsity: 0.5, valueSparsity: 0.9, recentTokens: 1, groupTokens: 1 };
    expect(keptOf([x, x], options)).toEqual({ k: [[1, 2, 3, 5, 6]], v: [[1, 3]] });
  });

  it("elements of equal magnitude: the lower indices stay", () => {
    const options = { keySparsity: 0.5, recentTokens: 1, groupTokens: 1 };
    expect(
      keptOf(
        [
          [2, -2, 2, -2],
          [1, 1, 1, 1],
        ],
        options,
      ).k,
    ).toEqual([[0, 1, 2]]);
  });

  it.each([
    [31, 0],
    [287, 0],
    [288, 256],
    [543, 256],
    [544, 512],
  ])("R = 32, groups of 256: of %i tokens %i are compressed", (n, compressed) => {
    const rows = Array.from({ length: n }, (_, t) => [t, -t]);
    expect(keptOf(rows, {}).k).toHaveLength(compressed);
  });

  it.each(["f32", "bf16"] as FloatDtype[])("%s: equals sorting each row", (dtype) => {
    const [n, d] = [40, 24];
    const model = { layers: 1, queryHeads: 2, kvHeads: 2, headDim: d, contextLength: n };
    const numbers = new Seeded(5).normals(2 * n * d, { exactBf16: true });
    const data =
      dtype === "f32" ? numbers : Uint16Array.from(numbers, (_, i) => new Uint32Array(numbers.buffer)[i] >>> 16);
    const x = headsFirst(data, 2, n, d);
    const options = plugin.options.parse({ keySparsity: 0.7, valueSparsity: 0.3, recentTokens: 8, groupTokens: 32 });
    const context: CompressContext = { model, layer: 0, k: x, v: x, compressed: 0, primitives: operations };
    const { k, v } = prunerFromElementScorer(plugin.create(options, model)).compress!(context, null)!;
    for (let row = 0; row < 2 * 32; row++) {
      const place = (Math.floor(row / 32) * n + (row % 32)) * d;
      const vector = Array.from(numbers.subarray(place, place + d));
      expect(Array.from(k.indices.subarray(row * k.kept, (row + 1) * k.kept))).toEqual(oracleKept(vector, 0.7));
      expect(Array.from(v.indices.subarray(row * v.kept, (row + 1) * v.kept))).toEqual(oracleKept(vector, 0.3));
    }
  });

  it.each([{ keySparsity: 1 }, { valueSparsity: -0.1 }, { recentTokens: 0 }, { groupTokens: 0 }, { groupTokens: 1.5 }])(
    "%j is refused",
    (given) => {
      expect(plugin.options.safeParse(given).success).toBe(false);
    },
  );
});

describe("tiles of the reference", () => {
  it("key channel 7, kept at tokens 0, 2 and 63: bitmap 0xA000000000000001, 8 stored values, 4 words (worked example)", () => {
    const rows = new Float32Array(64 * 128);
    for (const [token, value] of [
      [0, 5],
      [2, 6],
      [63, 7],
    ])
      rows[token * 128 + 7] = value;
    const { bitmap, starts, values } = tilesOf(rows, 1, 64, 128, "k");
    expect(bitmap.slice(7 * 8, 8 * 8)).toEqual([0xa0, 0, 0, 0, 0, 0, 0, 1]);
    expect(values).toEqual([5, 6, 7, 0, 0, 0, 0, 0]);
    expect(starts.slice(7, 9)).toEqual([0, 4]);
  });
});

describe("mustafar fixtures", () => {
  const files = fixtureFiles("mustafar", fileURLToPath(new URL("../fixtures", import.meta.url)));
  it.each(files)("reproduces %s", async (file) => {
    const fixture = readFixture(file);
    expectFixture(fixture, (await plugin.fixtures!()).run(fixture, operations));
  });
});
