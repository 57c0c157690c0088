import {
  type ChannelsWeight,
  channelsWeight,
  type DenseWeight,
  type FloatDtype,
  fromBf16,
  type GatedRowsWeight,
  gatedRowsWeight,
  type LowRankFactors,
  type Selection,
  toBf16,
  WinnowError,
} from "@winnow/core";
import { afterAll, describe, expect, test } from "vitest";
import { findAddon } from "./addon.js";
import { guard } from "./guard.js";
import { channelOperations, channelsLinear, gatedRowsLinear } from "./operations/channels.js";
import { randomFloats } from "./testing/data.js";

const loaded = findAddon();
if (!("addon" in loaded)) throw new Error(loaded.reason);
const { addon } = loaded;
const instances = addon
  .instructionSets()
  .flatMap((isa) => [1, 2, 3].map((threads) => guard(new addon.Kernels({ threads, isa }))));
const [kernels] = instances;
const { gatedLinear } = channelOperations(kernels);
afterAll(() => {
  for (const instance of instances) instance.close();
});

const ulp = 2 ** -24;
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

function dense(outFeatures: number, inFeatures: number): DenseWeight {
  const data = randomFloats(outFeatures * inFeatures, 2);
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data, bias: randomFloats(outFeatures, 3) };
}

function stored(dtype: FloatDtype, values: Float32Array): Float32Array | Uint16Array {
  return dtype === "f32" ? values : Uint16Array.from(values, toBf16);
}

function valueAt(dtype: FloatDtype, stored: number): number {
  return dtype === "f32" ? stored : fromBf16(stored);
}

function factors(dtype: FloatDtype, rank: number, outFeatures: number, inFeatures: number): LowRankFactors {
  const inputs = stored(dtype, randomFloats(inFeatures * rank, 5));
  return { rank, dtype, inputs, outputs: stored(dtype, randomFloats(rank * outFeatures, 6)) };
}

/** Which entries are selected, from the definition. */
function chosen(x: ArrayLike<number>, selection: Selection): boolean[] {
  const scores = Array.from(x, (value, j) => Math.fround(Math.abs(value) * (selection.scale?.[j] ?? 1)));
  if (selection.rule === "threshold") {
    const { thresholds } = selection;
    return scores.map((score, j) => score > thresholds[thresholds.length === 1 ? 0 : j]);
  }
  const order = scores.map((_, j) => j).filter((j) => x[j] !== 0);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const best = new Set(order.slice(0, selection.keep));
  return scores.map((_, j) => best.has(j));
}

/** One row by the definition of the format, in float64. */
function oracle(x: Float32Array, weight: ChannelsWeight): number[] {
  const { inFeatures, outFeatures, data, dtype, bias, lowRank } = weight;
  const keep = chosen(x, weight.selection);
  return Array.from({ length: outFeatures }, (_, o) => {
    let sum = bias?.[o] ?? 0;
    for (let j = 0; j < inFeatures; j++) if (keep[j]) sum += x[j] * valueAt(dtype, data[j * outFeatures + o]);
    for (let r = 0; lowRank && r < lowRank.rank; r++) {
      let projection = 0;
      for (let j = 0; j < inFeatures; j++)
        if (!keep[j]) projection += x[j] * valueAt(lowRank.dtype, lowRank.inputs[j * lowRank.rank + r]);
      sum += projection * valueAt(lowRank.dtype, lowRank.outputs[r * outFeatures + o]);
    }
    return sum;
  });
}

function expectNear(actual: Float32Array, expected: number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries())
    if (!(Math.abs(actual[i] - value) <= tolerance))
      expect.fail(`at ${i}: ${actual[i]}, expected ${value} within ${tolerance}`);
}

const threshold = (value: number): Selection => ({ rule: "threshold", thresholds: Float32Array.of(value) });
const selections = (size: number): [name: string, selection: Selection][] => [
  ["nothing", threshold(Infinity)],
  ["half", threshold(0.5)],
  ["all", threshold(-1)],
  ["half by a threshold of each", { rule: "threshold", thresholds: randomFloats(size, 8).map(Math.abs) }],
  [
    "by size times scale",
    { rule: "threshold", thresholds: Float32Array.of(0.3), scale: randomFloats(size, 9).map(Math.abs) },
  ],
  ["the largest third", { rule: "largest", keep: Math.floor(size / 3) }],
  ["the largest, scaled", { rule: "largest", keep: Math.ceil(size / 2), scale: randomFloats(size, 9).map(Math.abs) }],
];

describe.each(dtypes)("channelsLinear %s", (dtype) => {
  test.each(selections(77))("multiplies the selected channels, the rest through the factors: %s", (_, selection) => {
    const x = randomFloats(77, 1);
    for (const lowRank of [undefined, factors(dtype, 5, 50, 77)]) {
      const weight = channelsWeight(dense(50, 77), dtype, selection, lowRank);
      const [first, ...others] = instances.map((instance) => {
        const out = new Float32Array(50);
        channelsLinear(instance, x, 1, weight, out, false, 1);
        return out;
      });
      // Below 77 (1 + 5) in magnitude, after two chains of at most 77 + 5 + 1 roundings.
      expectNear(first, oracle(x, weight), 2 * 83 * 77 * 6 * ulp);
      for (const other of others) expect(other).toEqual(first);
    }
  });

  test("selecting everything gives what the dense row gives, without rounding x", () => {
    const x = randomFloats(33, 1).map((value) => fromBf16(toBf16(value)));
    const weight = channelsWeight(dense(20, 33), dtype, threshold(-1), factors(dtype, 3, 20, 33));
    const [sparse, whole] = [new Float32Array(20), new Float32Array(20)];
    channelsLinear(kernels, x, 1, weight, sparse, false, 1);
    channelsLinear(kernels, x, 1, weight, whole, false, 0);
    expectNear(sparse, [...whole], 34 * 34 * ulp);
  });

  test("only the last sparseRows rows use the selection, and bytes count what each pass read", () => {
    const x = randomFloats(4 * 40, 1);
    const weight = channelsWeight(dense(30, 40), dtype, threshold(0.5));
    const everything = { ...weight, selection: threshold(-1) };
    const out = new Float32Array(4 * 30);
    const read = channelsLinear(kernels, x, 4, weight, out, false, 2);
    const size = dtype === "bf16" ? 2 : 4;
    let bytes = (40 * 30 * size + 30 * 4) as number;
    for (const r of [0, 1, 2, 3]) {
      const row = x.subarray(r * 40, (r + 1) * 40);
      const exact = dtype === "f32" || r >= 2 ? row : row.map((value) => fromBf16(toBf16(value)));
      expectNear(out.subarray(r * 30, (r + 1) * 30), oracle(exact, r < 2 ? everything : weight), 41 * 41 * ulp);
      if (r >= 2) bytes += chosen(row, weight.selection).filter(Boolean).length * 30 * size + 30 * 4;
    }
    expect(read).toBe(bytes);
  });

  test("accumulate adds to the old output", () => {
    const x = randomFloats(12, 1);
    const weight = channelsWeight(dense(9, 12), dtype, threshold(0.4));
    const old = randomFloats(9, 4);
    const out = old.slice();
    channelsLinear(kernels, x, 1, weight, out, true, 1);
    expectNear(
      out,
      oracle(x, weight).map((value, o) => value + old[o]),
      14 * 14 * ulp,
    );
  });

  test("gatedRowsLinear gives the bits of channelsLinear without sparse rows", () => {
    const matrix = dense(45, 31);
    const x = randomFloats(9 * 31, 1);
    for (const rows of [1, 9]) {
      const [byRows, byChannels] = [new Float32Array(rows * 45), new Float32Array(rows * 45)];
      const read = gatedRowsLinear(kernels, x, rows, gatedRowsWeight(matrix, dtype, threshold(0)), byRows, false);
      channelsLinear(kernels, x, rows, channelsWeight(matrix, dtype, threshold(0)), byChannels, false, 0);
      expect(byRows).toEqual(byChannels);
      expect(read).toBe(45 * 31 * (dtype === "bf16" ? 2 : 4) + 45 * 4);
    }
  });

  test.each(selections(60))("gatedLinear computes the rows of selected gates only: %s", (_, selection) => {
    const weight = gatedRowsWeight(dense(60, 25), dtype, selection);
    const x = randomFloats(25, 1);
    const before = randomFloats(60, 7).map((value) => 4 * value);
    for (const activation of ["silu", "gelu", "gelu-tanh", "relu"] as const) {
      const [gate, out] = [before.slice(), new Float32Array(60).fill(9)];
      const read = gatedLinear(x, gate, weight, activation, out);
      const keep = chosen(gate, selection);
      const expected = Array.from(gate, (factor, o) => {
        let dot = weight.bias?.[o] ?? 0;
        for (let i = 0; i < 25; i++) dot += x[i] * valueAt(dtype, weight.data[o * 25 + i]);
        return keep[o] ? factor * dot : 0;
      });
      expectNear(out, expected, 4 * 26 * 28 * ulp);
      expect(read).toBe(keep.filter(Boolean).length * (25 * (dtype === "bf16" ? 2 : 4) + 4));
      const activated = before.slice();
      kernels.gatedActivation({ gate: activated, up: new Float32Array(60).fill(1), count: 60, activation });
      expect(gate).toEqual(activated);
    }
  });
});

test("channelsLinear selects by |x| times the column's norm: the worked example of R-Sparse", () => {
  const matrix = {
    format: "dense",
    dtype: "f32",
    outFeatures: 2,
    inFeatures: 2,
    data: Float32Array.of(3, 0, 4, 1),
  } as const;
  const selection = { rule: "threshold", thresholds: Float32Array.of(0.45), scale: Float32Array.of(5, 1) } as const;
  const out = new Float32Array(2);
  channelsLinear(kernels, Float32Array.of(0.1, 0.4), 1, channelsWeight(matrix, "f32", selection), out, false, 1);
  expectNear(out, [0.3, 0.4], 2 * ulp);
});

test("channelsLinear keeps the lower index of equal sizes and never a zero: the worked example of top-k", () => {
  const identity = Float32Array.from({ length: 36 }, (_, e) => Number(e % 7 === 0));
  const matrix = { format: "dense", dtype: "f32", outFeatures: 6, inFeatures: 6, data: identity } as const;
  const x = Float32Array.of(0, 0.2, 0.9, 0.2, 0, 0.7);
  const keep = (count: number) => {
    const out = new Float32Array(6);
    channelsLinear(kernels, x, 1, channelsWeight(matrix, "f32", { rule: "largest", keep: count }), out, false, 1);
    return [...out];
  };
  expect(keep(3)).toEqual([...Float32Array.of(0, 0.2, 0.9, 0, 0, 0.7)]);
  expect(keep(0)).toEqual([0, 0, 0, 0, 0, 0]);
  const weight = channelsWeight(matrix, "f32", { rule: "largest", keep: 6 });
  expect(channelsLinear(kernels, x, 1, weight, new Float32Array(6), false, 1)).toBe(4 * 6 * 4);
});

const channels: ChannelsWeight = channelsWeight(dense(4, 6), "f32", threshold(0.5), factors("f32", 2, 4, 6));
const rows: GatedRowsWeight = gatedRowsWeight(dense(4, 6), "f32", threshold(0.5));

function multiply(change: Partial<ChannelsWeight>, x = randomFloats(12, 1), sparseRows = 1): number {
  return channelsLinear(kernels, x, 2, { ...channels, ...change }, new Float32Array(8), false, sparseRows);
}

const lowRank = channels.lowRank as LowRankFactors;
const refusals: [title: string, action: () => unknown, message: RegExp][] = [
  [
    "more sparse rows than rows",
    () => multiply({}, randomFloats(12, 1), 3),
    /sparseRows must be an integer in 0\.\.2, got 3/,
  ],
  ["x without its last row", () => multiply({}, randomFloats(11, 1)), /x must be a Float32Array of at least 12/],
  ["a matrix without its last channel", () => multiply({ data: randomFloats(23, 1) }), /weight.data must be/],
  [
    "thresholds of some channels",
    () => multiply({ selection: { rule: "threshold", thresholds: randomFloats(5, 1) } }),
    /thresholds must hold 1 or 6 elements, got Float32Array of 5/,
  ],
  [
    "a threshold that is NaN",
    () => multiply({ selection: threshold(Number.NaN) }),
    /thresholds\[0\] must be finite or Infinity, got NaN/,
  ],
  [
    "a threshold of -Infinity",
    () => multiply({ selection: threshold(-Infinity) }),
    /thresholds\[0\] must be finite or Infinity/,
  ],
  [
    "a scale of some channels",
    () => multiply({ selection: { rule: "largest", keep: 1, scale: randomFloats(7, 1) } }),
    /scale must hold 6 elements/,
  ],
  [
    "a negative scale",
    () => multiply({ selection: { rule: "largest", keep: 1, scale: Float32Array.of(0, 1, 2, -3, 4, 5) } }),
    /scale\[3\] must be finite and not negative, got -3/,
  ],
  [
    "more kept channels than there are",
    () => multiply({ selection: { rule: "largest", keep: 7 } }),
    /keep must be an integer in 0\.\.6, got 7/,
  ],
  [
    "an unknown rule",
    () => multiply({ selection: { rule: "random" } as never }),
    /rule must be "threshold" or "largest", got "random"/,
  ],
  [
    "no selection",
    () => multiply({ selection: undefined as never }),
    /weight.selection must be a Selection, got undefined/,
  ],
  ["factors of rank 0", () => multiply({ lowRank: { ...lowRank, rank: 0 } }), /lowRank.rank must be an integer in 1/],
  [
    "factors that are too short",
    () => multiply({ lowRank: { ...lowRank, inputs: randomFloats(11, 1) } }),
    /lowRank.inputs.data must be a Float32Array of at least 12/,
  ],
  [
    "factors of another type",
    () => multiply({ lowRank: { ...lowRank, outputs: new Uint16Array(8) } }),
    /lowRank.outputs.data must be a Float32Array/,
  ],
  [
    "out over x",
    () => {
      const memory = randomFloats(20, 1);
      channelsLinear(kernels, memory, 2, channels, memory.subarray(11), false, 1);
    },
    /out must not overlap x/,
  ],
  [
    "a gate that is too short",
    () => gatedLinear(randomFloats(6, 1), randomFloats(3, 1), rows, "silu", randomFloats(4, 1)),
    /gate must be/,
  ],
  [
    "out over the gate",
    () => {
      const memory = randomFloats(7, 1);
      gatedLinear(randomFloats(6, 1), memory, rows, "silu", memory.subarray(3));
    },
    /out must not overlap gate/,
  ],
  [
    "an unknown activation",
    () => gatedLinear(randomFloats(6, 1), randomFloats(4, 1), rows, "swish" as "silu", randomFloats(4, 2)),
    /activation must be one of silu/,
  ],
  [
    "a gated product with channels",
    () => gatedLinear(randomFloats(6, 1), randomFloats(4, 1), channels as never, "silu", randomFloats(4, 2)),
    /weight.format must be "gated-rows"/,
  ],
];

test.each(refusals)("ERR_OPERATION_ARGUMENT refuses %s", (_, action, message) => {
  const error = thrownBy(action);
  expect(error.message).toMatch(message);
  expect(error.code).toBe("ERR_OPERATION_ARGUMENT");
});

test("the task that refusals change is fine without the change", () => {
  expect(multiply({})).toBeGreaterThan(0);
});

test("ERR_NON_FINITE names the row of x, or the gate, whose score is NaN", () => {
  const x = randomFloats(12, 1);
  x[7] = Number.NaN;
  expect(thrownBy(() => multiply({}, x))).toMatchObject({
    code: "ERR_NON_FINITE",
    message: expect.stringContaining("row 1 of x"),
  });
  const gate = Float32Array.of(1, 2, Number.NaN, 3);
  const error = thrownBy(() => gatedLinear(randomFloats(6, 1), gate, rows, "silu", new Float32Array(4)));
  expect(error).toMatchObject({ code: "ERR_NON_FINITE", message: expect.stringContaining("gate") });
});

test("the binding checks sizes again", () => {
  const task = {
    x: randomFloats(6, 1),
    rows: 1,
    inFeatures: 6,
    outFeatures: 4,
    data: channels.data,
    out: new Float32Array(4),
    sparseRows: 1,
  };
  expect(() => kernels.channelsLinear({ ...task, keep: 7 })).toThrow(/keep must be at most/);
  expect(() => kernels.channelsLinear({ ...task, thresholds: randomFloats(3, 1) })).toThrow(
    /thresholds must hold one element/,
  );
  expect(() => kernels.channelsLinear({ ...task, keep: 1, sparseRows: 2 })).toThrow(/sparseRows must be at most rows/);
  expect(() => kernels.channelsLinear({ ...task, keep: 1, lowRank: { ...lowRank, rank: 3 } })).toThrow(
    /lowRank.inputs must hold more/,
  );
  expect(() => kernels.rowsLinear({ ...task, rows: 2 })).toThrow(/x must hold more/);
});

function thrownBy(action: () => unknown): WinnowError {
  try {
    action();
  } catch (error) {
    if (error instanceof WinnowError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
