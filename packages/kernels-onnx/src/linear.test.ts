import type { Activation, DensePanelWeight, DenseWeight, FloatDtype } from "@winnow/core";
import { fromBf16, panelElements, toBf16 } from "@winnow/core";
import { dotTolerance, expectClose, Seeded } from "@winnow/testkit";
import { afterAll, describe, expect, test } from "vitest";
import { createOnnxDense } from "./linear.js";

const dense = createOnnxDense({ threads: 2 });
afterAll(() => dense.close());

const seeded = new Seeded(7);

function randomWeight(outFeatures: number, inFeatures: number, dtype: FloatDtype = "f32", bias = false): DenseWeight {
  const data = seeded.stored(outFeatures * inFeatures, dtype);
  return { format: "dense", dtype, outFeatures, inFeatures, data, ...(bias && { bias: seeded.normals(outFeatures) }) };
}

/** The layout as `DensePanelWeight` defines it. */
function toPanels(weight: DenseWeight): DensePanelWeight {
  const { dtype, outFeatures, inFeatures } = weight;
  const count = panelElements(dtype, outFeatures, inFeatures);
  const data = dtype === "bf16" ? new Uint16Array(count) : new Float32Array(count);
  const panelLength = count / Math.ceil(outFeatures / 16);
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      const inPanel = dtype === "bf16" ? Math.floor(i / 2) * 32 + (o % 16) * 2 + (i % 2) : i * 16 + (o % 16);
      data[Math.floor(o / 16) * panelLength + inPanel] = weight.data[o * inFeatures + i];
    }
  }
  return { ...weight, format: "dense-panel16", data };
}

/** Float64 sums, and the largest sum of magnitudes for tolerances. */
function oracle(x: ArrayLike<number>, rows: number, weight: DenseWeight) {
  const { outFeatures, inFeatures, data, bias, dtype } = weight;
  const out: number[] = [];
  let magnitude = 0;
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outFeatures; o++) {
      let sum = bias?.[o] ?? 0;
      let absolute = Math.abs(sum);
      for (let i = 0; i < inFeatures; i++) {
        const stored = data[o * inFeatures + i];
        const input = x[r * inFeatures + i];
        const product = dtype === "bf16" ? fromBf16(toBf16(input)) * fromBf16(stored) : input * stored;
        sum += product;
        absolute += Math.abs(product);
      }
      out.push(sum);
      magnitude = Math.max(magnitude, absolute);
    }
  }
  return { out, tolerance: dotTolerance("f32", inFeatures + 1, magnitude) };
}

async function run(weight: DenseWeight | DensePanelWeight, x: Float32Array, rows: number): Promise<Float32Array> {
  const out = new Float32Array(rows * weight.outFeatures);
  await dense.linear(dense.prepare("w", weight), x, rows, out);
  return out;
}

const activations: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
};

/** Series 2 / sqrt(pi) * sum (-1)^k x^(2k+1) / (k! (2k+1)); exact enough in float64 for |x| < 4. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; k < 100; k++) {
    term *= (-x * x) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describe("OnnxDense", () => {
  const sizes = [
    [1, 1, 1],
    [1, 384, 17],
    [3, 15, 16],
    [5, 33, 40],
    [70, 64, 31],
  ];
  for (const dtype of ["f32", "bf16"] as const) {
    test.each(sizes)(`linear ${dtype}: %i rows of %i into %i, dense and in panels`, async (rows, inFeatures, out) => {
      const weight = randomWeight(out, inFeatures, dtype, true);
      const x = seeded.normals(rows * inFeatures);
      const expected = oracle(x, rows, weight);
      expectClose(await run(weight, x, rows), expected.out, expected.tolerance);
      expectClose(await run(toPanels(weight), x, rows), expected.out, expected.tolerance);
    });
  }

  test("linear puts the results of a group side by side", async () => {
    const group = [randomWeight(6, 8), randomWeight(2, 8, "bf16"), randomWeight(3, 8, "f32", true)];
    const x = seeded.normals(2 * 8);
    const handle = dense.prepare("qkv", group);
    expect(handle.outFeatures).toBe(11);
    const out = new Float32Array(2 * 11);
    await dense.linear(handle, x, 2, out);
    for (const row of [0, 1]) {
      const parts = group.map((weight) => oracle(x.subarray(row * 8, row * 8 + 8), 1, weight));
      expectClose(
        out.subarray(row * 11, row * 11 + 11),
        parts.flatMap((part) => part.out),
        parts[0].tolerance,
      );
    }
  });

  test("linear with accumulate adds to what is there and leaves rows beyond untouched", async () => {
    const weight = randomWeight(4, 4);
    const x = seeded.normals(8);
    const out = new Float32Array(12).fill(10);
    await dense.linear(dense.prepare("w", weight), x, 2, out, true);
    const expected = oracle(x, 2, weight);
    // The bias enters the tolerance's magnitude; here 10 does.
    const { atol, rtol } = expected.tolerance;
    const sums = expected.out.map((value) => value + 10);
    expectClose(out, [...sums, 10, 10, 10, 10], { atol: atol + 20 * 2 ** -24, rtol });
  });

  test("linear reads and writes shared memory", async () => {
    const weight = randomWeight(5, 3);
    const x = new Float32Array(new SharedArrayBuffer(24));
    x.set(seeded.normals(6));
    const out = new Float32Array(new SharedArrayBuffer(40));
    await dense.linear(dense.prepare("w", weight), x, 2, out);
    const expected = oracle(x, 2, weight);
    expectClose(out, expected.out, expected.tolerance);
  });

  test("linear gives the same bits with 1 and 2 threads", async () => {
    const single = createOnnxDense({ threads: 1 });
    const weight = randomWeight(256, 384);
    const x = seeded.normals(130 * 384);
    const out = new Float32Array(130 * 256);
    await single.linear(single.prepare("w", weight), x, 130, out);
    expect(await run(weight, x, 130)).toEqual(out);
    await single.close();
  });

  test.each(Object.keys(activations) as Activation[])("mlp computes down(%s(gate) * up)", async (activation) => {
    const [rows, width, inner] = [3, 8, 20];
    const weights = {
      gate: randomWeight(inner, width),
      up: randomWeight(inner, width),
      down: randomWeight(width, inner),
    };
    const x = seeded.normals(rows * width).map((value) => value / 4);
    const out = new Float32Array(rows * width);
    await dense.mlp(dense.prepareMlp("mlp", { ...weights, activation }), x, rows, out);
    const gate = oracle(x, rows, weights.gate);
    const up = oracle(x, rows, weights.up);
    const innerValues = gate.out.map((value, i) => activations[activation](value) * up.out[i]);
    const expected = oracle(innerValues, rows, weights.down);
    // Errors of gate and up pass through `down` on top of its own; ONNX Runtime's sigmoid, tanh and erf are good to about 2^-20.
    const { atol, rtol } = expected.tolerance;
    expectClose(out, expected.out, { atol: 16 * atol + 2 ** -20 * 16, rtol });
  });

  test("prepare refuses sizes that do not fit and groups of unequal inputs", () => {
    const short = { ...randomWeight(2, 3), data: new Float32Array(5) };
    expect(() => dense.prepare("w", short)).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
    const unequal = [randomWeight(2, 3), randomWeight(2, 4)];
    expect(() => dense.prepare("w", unequal)).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
    expect(() => dense.prepare("w", [])).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
  });

  test("prepareMlp refuses weights of different layers", () => {
    const weights = { gate: randomWeight(8, 4), up: randomWeight(8, 4), down: randomWeight(4, 9) };
    expect(() => dense.prepareMlp("mlp", { ...weights, activation: "silu" })).toThrow(
      expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT", message: expect.stringContaining("4 x 9") }),
    );
  });

  test.each([-1, 1.5, 3])("linear refuses %d rows where the buffers hold 2", async (rows) => {
    const handle = dense.prepare("w", randomWeight(4, 4));
    await expect(dense.linear(handle, new Float32Array(8), rows, new Float32Array(8))).rejects.toMatchObject({
      code: "ERR_OPERATION_ARGUMENT",
    });
  });

  test("linear after close is refused, whether the handle was used or not", async () => {
    const closing = createOnnxDense({ threads: 1 });
    const used = closing.prepare("used", randomWeight(1, 1));
    const unused = closing.prepare("unused", randomWeight(1, 1));
    await closing.linear(used, new Float32Array(1), 1, new Float32Array(1));
    await closing.close();
    for (const handle of [used, unused]) {
      await expect(closing.linear(handle, new Float32Array(1), 1, new Float32Array(1))).rejects.toMatchObject({
        code: "ERR_ENGINE_CLOSED",
      });
    }
  });

  test.each([0, 1.5, Number.NaN])("createOnnxDense refuses %d threads", (threads) => {
    expect(() => createOnnxDense({ threads })).toThrow(expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }));
  });
});
