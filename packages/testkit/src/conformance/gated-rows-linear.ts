import {
  type Activation,
  channelsWeight,
  type FloatDtype,
  type GatedRowsWeight,
  gatedRowsWeight,
  type Selection,
  weightBytes,
} from "@winnow/core";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { dotTolerance, expectClose } from "../tolerance.js";
import { naiveSelection } from "./channels-linear.js";
import { refuses } from "./refusals.js";
import { denseWeight, naiveLinear, prunedWeight } from "./weight-data.js";

const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

/** [inFeatures, outFeatures] */
const shapes = [
  [1, 1],
  [7, 33],
  [64, 48],
  [65, 130],
] as const;

export function gatedRowsSuite(operations: LoadedOperations): void {
  const cases = dtypes.flatMap((dtype) => shapes.map((shape) => [dtype, ...shape] as const));

  describe("linear with gated-rows", () => {
    it.each(cases)("%s, in %i, out %i: the whole matrix", async (dtype, inFeatures, outFeatures) => {
      const { dense, weight, x } = problem(dtype, inFeatures, outFeatures, { rule: "largest", keep: 0 });
      const out = new Float32Array(outFeatures);
      expect(await operations().linear(x, 1, weight, out)).toBe(weightBytes(weight));
      const { out: expected, magnitude } = naiveLinear(x, 1, dense);
      expectClose(out, expected, dotTolerance("f32", inFeatures + 1, magnitude));
    });

    it("decodes to the matrix, without the selection", () => {
      const { dense, weight } = problem("bf16", 13, 20, { rule: "largest", keep: 3 });
      expect(operations().decodeWeight(weight)).toEqual({
        ...dense,
        dtype: "bf16",
        data: toStored(dense.data, "bf16"),
      });
    });
  });

  describe("gatedLinear", () => {
    describe.each(cases)("%s, in %i, out %i", (dtype, inFeatures, outFeatures) => {
      const seeded = new Seeded(outFeatures);
      const gate = seeded.normals(outFeatures).map((value) => value * 2);
      const scale = seeded.uniforms(outFeatures, 0.5, 2);
      const thresholds = seeded.uniforms(outFeatures, 0, 1);
      const keep = Math.ceil(outFeatures / 3);
      it.each<[string, Selection]>([
        ["none", { rule: "threshold", thresholds: Float32Array.of(1e9) }],
        ["all but zeros", { rule: "threshold", thresholds: Float32Array.of(0) }],
        ["above one threshold", { rule: "threshold", thresholds: Float32Array.of(0.5) }],
        ["each above its own threshold, scaled", { rule: "threshold", thresholds, scale }],
        ["the largest third", { rule: "largest", keep }],
        ["the largest third, scaled", { rule: "largest", keep, scale }],
        ["the largest of all", { rule: "largest", keep: outFeatures }],
      ])("relu(gate) * (W x + b) at selected outputs, 0 elsewhere: %s", (_, selection) => {
        const { dense, weight, x } = problem(dtype, inFeatures, outFeatures, selection);
        const activated = gate.map((value) => Math.max(0, value));
        const selected = naiveSelection(selection, activated);
        const [given, out] = [gate.slice(), new Float32Array(outFeatures).fill(Number.NaN)];
        const { bias, ...unbiased } = poisoned(weight, selected);
        const bytes = operations().gatedLinear(x, given, { ...unbiased, bias: bias! }, "relu", out);
        const { out: products, magnitude } = naiveLinear(x, 1, dense);
        const expected = products.map((product, o) => (selected.has(o) ? activated[o] * product : 0));
        expectClose(out, expected, dotTolerance("f32", inFeatures + 2, magnitude * Math.max(...activated)));
        expect(positiveZeros(given)).toEqual(positiveZeros(activated));
        const rowBytes = inFeatures * weight.data.BYTES_PER_ELEMENT;
        expect(bytes).toBeGreaterThanOrEqual(selected.size * rowBytes);
        expect(bytes).toBeLessThanOrEqual(selected.size * rowBytes + weight.bias!.byteLength);
        expect(operations().gatedLinear(x, gate.slice(), unbiased, "relu", out)).toBe(selected.size * rowBytes);
      });
    });

    it.each<Activation>(["silu", "gelu", "gelu-tanh", "relu"])(
      "%s: with `channels` for the down projection it is the naive gated MLP without the small neurons",
      async (activation) => {
        const seeded = new Seeded(21);
        const [width, inner] = [40, 96];
        const x = seeded.normals(width);
        const up = prunedWeight(seeded, inner, width, 0);
        const down = prunedWeight(seeded, width, inner, 0);
        const gate = seeded.normals(inner).map((value) => value * 3);
        // The middle of the widest gap: approximations of the activation cannot cross it.
        const activated = Float32Array.from(gate, naiveActivations[activation]);
        const threshold = middleOfWidestGap(activated.map(Math.abs), 0.1, 1.5);
        const selection: Selection = { rule: "threshold", thresholds: Float32Array.of(threshold) };
        const hidden = new Float32Array(inner);
        const given = gate.slice();
        operations().gatedLinear(x, given, gatedRowsWeight(up, "f32", selection), activation, hidden);
        const out = new Float32Array(width);
        const nonZero: Selection = { rule: "threshold", thresholds: Float32Array.of(0) };
        await operations().linear(hidden, 1, channelsWeight(down, "f32", nonZero), out, false, 1);

        const { out: products, magnitude } = naiveLinear(x, 1, up);
        const kept = Float32Array.from(products, (p, o) => (Math.abs(activated[o]) > threshold ? activated[o] * p : 0));
        const { out: expected, magnitude: total } = naiveLinear(kept, 1, down);
        // The activation itself is good to 2^-18.
        expectClose(given, activated, { atol: 2 ** -18, rtol: 2 ** -18 });
        const largest = Math.max(...activated.map(Math.abs));
        const hiddenTolerance =
          dotTolerance("f32", width + 2, magnitude * largest).atol + 2 ** -18 * magnitude * largest;
        expectClose(hidden, kept, { atol: hiddenTolerance, rtol: 2 ** -18 });
        const spread = Math.max(...down.data.map(Math.abs)) * inner;
        expectClose(out, expected, {
          atol: hiddenTolerance * spread + dotTolerance("f32", inner, total).atol,
          rtol: 0,
        });
      },
    );

    it("largest: of equal gates the lower index is computed", () => {
      const weight = gatedRowsWeight(denseWeight(5, 1, [1, 1, 1, 1, 1]), "f32", { rule: "largest", keep: 2 });
      const out = new Float32Array(5);
      operations().gatedLinear(Float32Array.of(1), Float32Array.of(-1, 2, 2, 2, 0), weight, "relu", out);
      expect([...out]).toEqual([0, 2, 2, 0, 0]);
    });

    const small = gatedRowsWeight(denseWeight(2, 3, new Float32Array(6)), "f32", { rule: "largest", keep: 1 });
    const floats = (length: number) => new Float32Array(length);
    refuses(operations, [
      ["a short x", (o) => o.gatedLinear(floats(2), floats(2), small, "relu", floats(2))],
      ["a short gate", (o) => o.gatedLinear(floats(3), floats(1), small, "relu", floats(2))],
      ["a short out", (o) => o.gatedLinear(floats(3), floats(2), small, "relu", floats(1))],
      ["an unknown activation", (o) => o.gatedLinear(floats(3), floats(2), small, "swish" as never, floats(2))],
      [
        "another format",
        (o) => o.gatedLinear(floats(3), floats(2), { ...small, format: "dense" } as never, "relu", floats(2)),
      ],
      ["a sparse row of linear", (o) => o.linear(floats(3), 1, small, floats(2), false, 1)],
    ]);
  });
}

const naiveActivations: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => x * normalShare(x),
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
};

/** Integral of the normal density up to x, by Simpson's rule. */
function normalShare(x: number): number {
  const steps = 2000;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let s = 1; s < steps; s++) sum += (s % 2 === 1 ? 4 : 2) * density((s * x) / steps);
  return 0.5 + (sum * x) / steps / 3;
}

function middleOfWidestGap(values: Float32Array, low: number, high: number): number {
  const inside = values.filter((value) => value >= low && value <= high).sort();
  let widest = 1;
  for (let place = 2; place < inside.length; place++) {
    if (inside[place] - inside[place - 1] > inside[widest] - inside[widest - 1]) widest = place;
  }
  return (inside[widest] + inside[widest - 1]) / 2;
}

/** x is exact in bf16, so that rounding it changes nothing. */
function problem(dtype: FloatDtype, inFeatures: number, outFeatures: number, selection: Selection) {
  const seeded = new Seeded(inFeatures * 100 + outFeatures);
  const dense = { ...prunedWeight(seeded, outFeatures, inFeatures, 0.2), bias: seeded.normals(outFeatures) };
  const x = seeded.normals(inFeatures, { exactBf16: true });
  return { dense, weight: gatedRowsWeight(dense, dtype, selection), x };
}

/** NaN in all rows that must not be read. */
function poisoned(weight: GatedRowsWeight, selected: ReadonlySet<number>): GatedRowsWeight {
  const [nan] = toStored([Number.NaN], weight.dtype);
  const data = weight.data.map((stored, e) => (selected.has(Math.floor(e / weight.inFeatures)) ? stored : nan));
  return { ...weight, data: data as GatedRowsWeight["data"] };
}

function positiveZeros(values: Float32Array): Float32Array {
  return values.map((value) => value + 0);
}
