import { headsFirst, toBf16, tokensFirst } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { erf } from "./activation.js";
import { createReference } from "./index.js";

const reference = createReference();

function refused(call: () => void, message: RegExp): void {
  expect(call).toThrow(
    expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT", message: expect.stringMatching(message) }),
  );
}

describe("embed", () => {
  it("row ids[r] of the table, f32 and bf16", () => {
    const out = new Float32Array(4);
    reference.embed(Int32Array.of(2, 0), Float32Array.of(1, 2, 3, 4, 5, 6), 2, out);
    expect([...out]).toEqual([5, 6, 1, 2]);
    reference.embed(Int32Array.of(1, 1), Uint16Array.of(0, 0, toBf16(-1.5), toBf16(3)), 2, out);
    expect([...out]).toEqual([-1.5, 3, -1.5, 3]);
  });

  it("an id outside the table is refused", () => {
    refused(
      () => reference.embed(Int32Array.of(3), new Float32Array(6), 2, new Float32Array(2)),
      /ids\[0\] .* 0..2, got 3/,
    );
    refused(() => reference.embed(Int32Array.of(-1), new Float32Array(6), 2, new Float32Array(2)), /got -1/);
  });
});

describe("rmsNorm", () => {
  it("x / sqrt(mean(x^2) + epsilon) * weight: rows (3, 4) and (0, 0), mean square 12.5, epsilon 12.5", () => {
    const x = Float32Array.of(3, 4, 0, 0);
    reference.rmsNorm(x, 2, 2, Float32Array.of(1, 10), 12.5, x);
    expect([...x]).toEqual([Math.fround(0.6), 8, 0, 0]);
  });

  it("a row of zeros with epsilon 0 stays zero", () => {
    const out = Float32Array.of(9, 9);
    reference.rmsNorm(new Float32Array(2), 1, 2, Float32Array.of(1, 1), 0, out);
    expect([...out]).toEqual([0, 0]);
  });

  it("negative epsilon is refused", () => {
    const x = new Float32Array(2);
    refused(() => reference.rmsNorm(x, 1, 2, x, -1, x), /epsilon/);
  });
});

describe("rope", () => {
  it("channels c and c + d/2 turn by the angle of the token's position: a quarter turn maps (1, 2) to (-2, 1)", () => {
    const data = Float32Array.of(1, 10, 2, 20);
    reference.rope(
      headsFirst(data, 1, 1, 4),
      Int32Array.of(1),
      Float32Array.of(1, 1, 0, -1),
      Float32Array.of(0, 0, 1, 0),
    );
    expect([...data]).toEqual([-2, -10, 1, -20]);
  });

  it("each head of [n, h * d] data turns by its token's position", () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    reference.rope(tokensFirst(data, 2, 2, 2), Int32Array.of(0, 1), Float32Array.of(1, 0), Float32Array.of(0, 1));
    expect([...data]).toEqual([1, 2, 3, 4, -6, 5, -8, 7]);
  });

  it("odd headDim and positions beyond the table are refused", () => {
    const table = new Float32Array(2);
    refused(() => reference.rope(headsFirst(new Float32Array(3), 1, 1, 3), Int32Array.of(0), table, table), /headDim/);
    refused(
      () => reference.rope(headsFirst(new Float32Array(2), 1, 1, 2), Int32Array.of(2), table, table),
      /positions\[0\]/,
    );
    refused(() => reference.rope(headsFirst(new Uint16Array(2), 1, 1, 2), Int32Array.of(0), table, table), /dtype/);
  });
});

describe("gatedActivation", () => {
  // Values at 1 from tables: sigmoid 0.7310585786, Phi 0.8413447461, tanh form 0.8411919906.
  it.each([
    ["silu", 0.7310585786],
    ["gelu", 0.8413447461],
    ["gelu-tanh", 0.8411919906],
    ["relu", 1],
  ] as const)("%s(1) * 2, and zeros from 0 and from far below", (activation, atOne) => {
    const gate = Float32Array.of(1, 0, -200);
    reference.gatedActivation(gate, Float32Array.of(2, 5, 5), 3, activation);
    expect(gate[0]).toBeCloseTo(2 * atOne, 6);
    expect(gate[1] + 0).toBe(0);
    expect(gate[2] + 0).toBe(0);
  });

  it("an unknown activation is refused", () => {
    const gate = new Float32Array(1);
    refused(() => reference.gatedActivation(gate, gate, 1, "swish" as never), /activation must be one of silu/);
  });

  it("erf matches tabulated values and is odd", () => {
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 14);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 14);
    expect(erf(-3.5)).toBeCloseTo(-0.9999992569016276, 14);
    expect(erf(7)).toBe(1);
  });
});

describe("add", () => {
  it("x + y over count elements, the rest untouched", () => {
    const x = Float32Array.of(1, 2, 3);
    reference.add(x, Float32Array.of(10, 20), 2);
    expect([...x]).toEqual([11, 22, 3]);
  });
});
