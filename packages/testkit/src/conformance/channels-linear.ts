import {
  type ChannelsWeight,
  channelsWeight,
  type DenseWeight,
  type FloatDtype,
  type LowRankFactors,
  type Selection,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { dotTolerance, expectClose } from "../tolerance.js";
import { refuses } from "./refusals.js";
import { denseWeight, naiveLinear, prunedWeight, valuesOf } from "./weight-data.js";

const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** [inFeatures, outFeatures] */
const shapes = [
  [1, 1],
  [7, 33],
  [64, 48],
  [65, 15],
  [130, 100],
] as const;

const below = (threshold: number): Selection => ({ rule: "threshold", thresholds: Float32Array.of(threshold) });
const none = below(1e9);

export function channelsSuite(operations: LoadedOperations): void {
  describe("linear with channels", () => {
    const cases = dtypes.flatMap((dtype) => shapes.map((shape) => [dtype, ...shape] as const));
    describe.each(cases)("%s, in %i, out %i", (dtype, inFeatures, outFeatures) => {
      const seeded = new Seeded(inFeatures);
      const dense = { ...prunedWeight(seeded, outFeatures, inFeatures, 0.2), bias: seeded.normals(outFeatures) };
      const x = seeded.normals(inFeatures);
      const scale = seeded.uniforms(inFeatures, 0.5, 2);

      it.each(selectionsOf(inFeatures, seeded, scale))("multiplies the selected channels: %s", async (_, selection) => {
        const selected = naiveSelection(selection, x);
        const weight = channelsWeight(dense, dtype, selection);
        const out = new Float32Array(outFeatures).fill(Number.NaN);
        const bytes = await operations().linear(x, 1, poisoned(weight, selected), out, false, 1);
        expectProduct(
          out,
          x.map((value, j) => (selected.has(j) ? value : 0)),
          1,
          dense,
        );
        expect(bytes).toBe((selected.size * weight.data.BYTES_PER_ELEMENT + 4) * outFeatures);
      });

      it("full rank: factors that hold the whole matrix give the dense product, whatever is selected", async () => {
        for (const selection of [none, below(0.7), below(0)]) {
          const weight = channelsWeight(dense, dtype, selection, wholeFactors(dense, dtype));
          const out = new Float32Array(outFeatures);
          await operations().linear(x, 1, weight, out, false, 1);
          expectProduct(out, x, 1, dense);
        }
      });

      it("nothing selected: out = b + outputs^T (inputs^T x)", async () => {
        const factors = randomFactors(seeded, 3, inFeatures, outFeatures, dtype);
        const out = new Float32Array(outFeatures);
        const weight = channelsWeight(dense, dtype, none, factors);
        const bytes = await operations().linear(x, 1, weight, out, false, 1);
        expectLowRank(out, x, factors, dense.bias);
        const most = factors.inputs.byteLength + factors.outputs.byteLength + 4 * outFeatures;
        expect(bytes).toBeGreaterThan(4 * outFeatures);
        expect(bytes).toBeLessThanOrEqual(most);
      });
    });

    it("|x| = threshold is not selected, the next larger number is", async () => {
      const next = 0.5 + 2 ** -24;
      expect(await diagonal(operations, [0.5, -0.5, next, -next], below(0.5))).toEqual([0, 0, next, -next]);
    });

    it("largest: of equal magnitudes the lower index is selected", async () => {
      const selection: Selection = { rule: "largest", keep: 3 };
      expect(await diagonal(operations, [1, -2, 2, 1, -1, 2], selection)).toEqual([0, -2, 2, 0, 0, 2]);
      expect(await diagonal(operations, [1, -1, 1, 1, -1, 3], selection)).toEqual([1, -1, 0, 0, 0, 3]);
    });

    it("largest: 0 is never selected, even if fewer than keep remain", async () => {
      const input = [0, 3, 0, 0, -1, 0];
      const dense = denseWeight(1, 6, [Number.NaN, 1, Number.NaN, Number.NaN, 1, Number.NaN]);
      const out = new Float32Array(1);
      const weight = channelsWeight(dense, "f32", { rule: "largest", keep: 5 });
      const bytes = await operations().linear(Float32Array.from(input), 1, weight, out, false, 1);
      expect([out[0], bytes]).toEqual([2, 8]);
    });

    it("scale decides, x is multiplied: (.1, .4) with scales (5, 1) and threshold .45 keeps channel 0", async () => {
      const [a, b] = [Math.fround(0.1), Math.fround(0.4)];
      const selection: Selection = {
        rule: "threshold",
        thresholds: Float32Array.of(0.45),
        scale: Float32Array.of(5, 1),
      };
      expect(await diagonal(operations, [a, b], selection)).toEqual([a, 0]);
      expect(await diagonal(operations, [a, b], { rule: "largest", keep: 1, scale: selection.scale! })).toEqual([a, 0]);
    });

    it("x is not rounded to bf16", async () => {
      const fine = 1 + 2 ** -20;
      expect(await diagonal(operations, [fine, 2], below(0), "bf16")).toEqual([fine, 2]);
    });

    it.each([0, 1, 2, 5, 6])("the last %i of 6 rows are sparse, the others whole; added to out", async (sparseRows) => {
      const seeded = new Seeded(sparseRows);
      const dense = { ...prunedWeight(seeded, 37, 50, 0), bias: seeded.normals(37) };
      const [x, start] = [seeded.normals(6 * 50), seeded.normals(6 * 37)];
      const selection = below(0.8);
      const seen = x.map((value, e) => (e < (6 - sparseRows) * 50 || Math.abs(value) > Math.fround(0.8) ? value : 0));
      const out = start.slice();
      await operations().linear(x, 6, channelsWeight(dense, "f32", selection), out, true, sparseRows);
      const { out: sums, magnitude } = naiveLinear(seen, 6, dense);
      expectClose(
        out,
        sums.map((sum, place) => sum + start[place]),
        dotTolerance("f32", 52, magnitude + 5),
      );
    });

    it("rows that are not sparse read the matrix, not the factors", async () => {
      const seeded = new Seeded(8);
      const dense = prunedWeight(seeded, 20, 12, 0);
      const weight = channelsWeight(dense, "f32", none, randomFactors(seeded, 2, 12, 20, "f32"));
      const out = new Float32Array(60);
      const x = seeded.normals(36);
      expect(await operations().linear(x, 3, weight, out)).toBe(weight.data.byteLength);
      expectProduct(out, x, 3, dense);
    });

    it("decodes to the matrix, without selection and factors", () => {
      const seeded = new Seeded(9);
      const dense = { ...prunedWeight(seeded, 20, 13, 0.5), bias: seeded.normals(20) };
      for (const dtype of dtypes) {
        const weight = channelsWeight(dense, dtype, none, randomFactors(seeded, 2, 13, 20, dtype));
        const decoded = operations().decodeWeight(weight);
        expect(decoded).toEqual({ ...dense, dtype, data: toStored(dense.data, dtype) });
      }
    });

    const small = channelsWeight(denseWeight(2, 3, new Float32Array(6)), "f32", none);
    refuses(operations, [
      ["a short x", (o) => o.linear(new Float32Array(2), 1, small, new Float32Array(2), false, 1)],
      ["a short out", (o) => o.linear(new Float32Array(3), 1, small, new Float32Array(1), false, 1)],
      ["more sparse rows than rows", (o) => o.linear(new Float32Array(6), 1, small, new Float32Array(4), false, 2)],
      ["half a sparse row", (o) => o.linear(new Float32Array(6), 1, small, new Float32Array(4), false, 0.5)],
    ]);
  });
}

function selectionsOf(entries: number, seeded: Seeded, scale: Float32Array): [string, Selection][] {
  const thresholds = seeded.uniforms(entries, 0, 1.5);
  return [
    ["none", none],
    ["all", below(0)],
    ["above one threshold", below(0.7)],
    ["above one threshold, scaled", { rule: "threshold", thresholds: Float32Array.of(0.7), scale }],
    ["each above its own threshold", { rule: "threshold", thresholds }],
    ["each above its own threshold, scaled", { rule: "threshold", thresholds, scale }],
    ["the 0 largest", { rule: "largest", keep: 0 }],
    ["the largest third", { rule: "largest", keep: Math.ceil(entries / 3) }],
    ["the largest half, scaled", { rule: "largest", keep: Math.ceil(entries / 2), scale }],
    ["as many as there are", { rule: "largest", keep: entries }],
  ];
}

export function naiveSelection(selection: Selection, x: Float32Array): Set<number> {
  const scores = x.map((value, j) => Math.abs(value) * (selection.scale?.[j] ?? 1));
  const all = Array.from(x.keys());
  if (selection.rule === "largest") {
    const order = all.filter((j) => x[j] !== 0).sort((a, b) => scores[b] - scores[a] || a - b);
    return new Set(order.slice(0, selection.keep));
  }
  const { thresholds } = selection;
  return new Set(all.filter((j) => scores[j] > thresholds[Math.min(j, thresholds.length - 1)]));
}

/** NaN in all channels that must not be read: one that is multiplied, even by 0, shows in the result. */
function poisoned(weight: ChannelsWeight, selected: ReadonlySet<number>): ChannelsWeight {
  const { outFeatures, dtype } = weight;
  const [nan] = toStored([Number.NaN], dtype);
  const data = weight.data.map((stored, e) => (selected.has(Math.floor(e / outFeatures)) ? stored : nan));
  return { ...weight, data: data as ChannelsWeight["data"] };
}

/** The product with a matrix of ones on the diagonal: shows which entries were selected. */
async function diagonal(operations: LoadedOperations, x: number[], selection: Selection, dtype: FloatDtype = "f32") {
  const size = x.length;
  const identity = denseWeight(
    size,
    size,
    Float32Array.from({ length: size ** 2 }, (_, e) => +(e % (size + 1) === 0)),
  );
  const out = new Float32Array(size);
  await operations().linear(Float32Array.from(x), 1, channelsWeight(identity, dtype, selection), out, false, 1);
  return [...out];
}

function expectProduct(out: Float32Array, x: Float32Array, rows: number, dense: DenseWeight): void {
  const { out: expected, magnitude } = naiveLinear(x, rows, dense);
  expectClose(out, expected, dotTolerance("f32", 2 * dense.inFeatures + 1, magnitude));
}

/** inputs = I, outputs = W^T. */
function wholeFactors(dense: DenseWeight, dtype: FloatDtype): LowRankFactors {
  const { inFeatures, outFeatures, data } = dense;
  const identity = Float32Array.from({ length: inFeatures ** 2 }, (_, e) => +(e % (inFeatures + 1) === 0));
  const transposed = new Float32Array(data.length);
  for (let e = 0; e < data.length; e++) {
    transposed[(e % inFeatures) * outFeatures + Math.floor(e / inFeatures)] = data[e];
  }
  return { rank: inFeatures, dtype, inputs: toStored(identity, dtype), outputs: toStored(transposed, dtype) };
}

function randomFactors(seeded: Seeded, rank: number, inFeatures: number, outFeatures: number, dtype: FloatDtype) {
  const [inputs, outputs] = [seeded.stored(inFeatures * rank, dtype), seeded.stored(rank * outFeatures, dtype)];
  return { rank, dtype, inputs, outputs };
}

function expectLowRank(out: Float32Array, x: Float32Array, factors: LowRankFactors, bias: Float32Array): void {
  const { rank, dtype } = factors;
  const inputs = valuesOf({ dtype, data: factors.inputs });
  const outputs = valuesOf({ dtype, data: factors.outputs });
  let magnitude = 0;
  const expected = Array.from(bias, (start, o) => {
    let [sum, absolute] = [start, Math.abs(start)];
    for (let j = 0; j < x.length; j++) {
      for (let k = 0; k < rank; k++) {
        const product = x[j] * inputs[j * rank + k] * outputs[k * bias.length + o];
        sum += product;
        absolute += Math.abs(product);
      }
    }
    magnitude = Math.max(magnitude, absolute);
    return sum;
  });
  expectClose(out, expected, dotTolerance("f32", x.length + rank + 1, 2 * magnitude));
}
