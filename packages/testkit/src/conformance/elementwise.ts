import { type Activation, headsFirst, tokensFirst } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded, toStored } from "../seeded.js";
import { vectorLengths } from "../sizes.js";
import { expectClose, unitRoundoff } from "../tolerance.js";
import { refuses } from "./refusals.js";

const reference = createReference();

/** A few roundings and an approximated exponential: 16 units in the last place. */
const elementTolerance = { atol: 2 ** -30, rtol: 32 * unitRoundoff.f32 };

export function elementwiseSuite(operations: LoadedOperations): void {
  describe("embed", () => {
    it.each(["f32", "bf16"] as const)("%s: row ids[r] of the table", (dtype) => {
      for (const width of vectorLengths) {
        const table = toStored(new Seeded(width).normals(5 * width), dtype);
        const ids = Int32Array.of(4, 0, 4, 2);
        const [out, expected] = [new Float32Array(4 * width), new Float32Array(4 * width)];
        operations().embed(ids, table, width, out);
        reference.embed(ids, table, width, expected);
        expect(out).toEqual(expected);
      }
    });

    refuses(operations, [
      ["an id beyond the table", (o) => o.embed(Int32Array.of(2), new Float32Array(4), 2, new Float32Array(2))],
      ["a negative id", (o) => o.embed(Int32Array.of(-1), new Float32Array(4), 2, new Float32Array(2))],
      ["out that is too short", (o) => o.embed(Int32Array.of(0), new Float32Array(4), 2, new Float32Array(1))],
    ]);
  });

  describe("rmsNorm", () => {
    it.each(vectorLengths)("x / sqrt(mean(x^2) + epsilon) * weight for width %i, in place too", (width) => {
      const seeded = new Seeded(width);
      const [x, weight] = [seeded.normals(3 * width), seeded.normals(width)];
      const [out, expected] = [new Float32Array(3 * width), new Float32Array(3 * width)];
      operations().rmsNorm(x, 3, width, weight, 1e-5, out);
      reference.rmsNorm(x, 3, width, weight, 1e-5, expected);
      expectClose(out, expected, elementTolerance);
      operations().rmsNorm(x, 3, width, weight, 1e-5, x);
      expect(x).toEqual(out);
    });

    refuses(operations, [
      ["x that is too short", (o) => o.rmsNorm(new Float32Array(3), 2, 2, new Float32Array(2), 0, new Float32Array(4))],
      [
        "a weight that is too short",
        (o) => o.rmsNorm(new Float32Array(4), 2, 2, new Float32Array(1), 0, new Float32Array(4)),
      ],
      [
        "a NaN epsilon",
        (o) => o.rmsNorm(new Float32Array(2), 1, 2, new Float32Array(2), Number.NaN, new Float32Array(2)),
      ],
    ]);
  });

  describe("rope", () => {
    it.each([2, 6, 16, 34, 128])(
      "channels c and c + d/2 turn by the position's angle, d = %i, both layouts",
      (headDim) => {
        const seeded = new Seeded(headDim);
        const positions = Int32Array.of(0, 5, 2);
        const angles = seeded.uniforms(6 * (headDim / 2), 0, 7);
        const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
        for (const layout of [headsFirst, tokensFirst]) {
          const data = seeded.normals(2 * 3 * headDim);
          const expected = data.slice();
          operations().rope(layout(data, 2, 3, headDim), positions, cos, sin);
          reference.rope(layout(expected, 2, 3, headDim), positions, cos, sin);
          expectClose(data, expected, { atol: 4 * unitRoundoff.f32 * 5, rtol: 0 });
        }
      },
    );

    const table = new Float32Array(2);
    const oneToken = (headDim: number) => headsFirst(new Float32Array(headDim), 1, 1, headDim);
    refuses(operations, [
      ["an odd head dimension", (o) => o.rope(oneToken(3), Int32Array.of(0), table, table)],
      ["a position beyond the table", (o) => o.rope(oneToken(2), Int32Array.of(2), table, table)],
      ["a token without position", (o) => o.rope(oneToken(2), new Int32Array(0), table, table)],
      ["a bf16 view", (o) => o.rope(headsFirst(new Uint16Array(2), 1, 1, 2), Int32Array.of(0), table, table)],
      ["a view beyond its data", (o) => o.rope({ ...oneToken(2), offset: 1 }, Int32Array.of(0), table, table)],
    ]);
  });

  describe("gatedActivation", () => {
    it.each<Activation>(["silu", "gelu", "gelu-tanh", "relu"])("%s(gate) * up", (activation) => {
      for (const count of vectorLengths) {
        const seeded = new Seeded(count);
        const gate = seeded.uniforms(count, -12, 12);
        const up = seeded.normals(count);
        const expected = gate.slice();
        operations().gatedActivation(gate, up, count, activation);
        reference.gatedActivation(expected, up, count, activation);
        // The tails of gelu cancel: 1 + erf(x) has an absolute error.
        expectClose(gate, expected, { atol: 2 ** -18, rtol: elementTolerance.rtol });
      }
    });

    it("far tails are finite: 0 below, the gate itself above", () => {
      for (const activation of ["silu", "gelu", "gelu-tanh", "relu"] as const) {
        const gate = Float32Array.of(-1000, 1000, 0);
        operations().gatedActivation(gate, Float32Array.of(1, 1, 1), 3, activation);
        expectClose(gate, [0, 1000, 0], elementTolerance);
      }
    });

    const one = () => new Float32Array(1);
    refuses(operations, [
      ["an unknown activation", (o) => o.gatedActivation(one(), one(), 1, "swish" as Activation)],
      ["a count beyond the arrays", (o) => o.gatedActivation(one(), one(), 2, "silu")],
    ]);
  });

  describe("add", () => {
    it.each(vectorLengths)("x + y over %i elements, the next untouched", (count) => {
      const seeded = new Seeded(count);
      const [x, y] = [seeded.normals(count + 1), seeded.normals(count + 1)];
      const expected = x.map((value, i) => (i < count ? value + y[i] : value));
      operations().add(x, y, count);
      expect(x).toEqual(expected);
    });

    refuses(operations, [["a count beyond the arrays", (o) => o.add(new Float32Array(2), new Float32Array(1), 2)]]);
  });
}
