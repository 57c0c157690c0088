import { type FloatDtype, fromBf16, headsFirst, type PackedAttention, type PackedRows, toBf16 } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

function refused(call: () => unknown, message: RegExp): void {
  const expected = { code: "ERR_OPERATION_ARGUMENT", message: expect.stringMatching(message) };
  expect(call).toThrow(expect.objectContaining(expected));
}

function emptyRows(dtype: FloatDtype, heads: number, capacity: number, headDim: number, kept: number): PackedRows {
  const values = dtype === "f32" ? new Float32Array(heads * capacity * kept) : new Uint16Array(heads * capacity * kept);
  const bitmap = new Uint8Array(heads * capacity * Math.ceil(headDim / 8));
  return { dtype, heads, length: 0, capacity, headDim, kept, bitmap, values };
}

/** Values that are neither equal nor regular; bf16 holds them exactly. */
const sampleAt = (i: number) => fromBf16(toBf16(Math.sin(1.7 * i + 0.3)));

function stored(dtype: FloatDtype, count: number, salt: number) {
  const values = Float32Array.from({ length: count }, (_, i) => sampleAt(i + salt));
  return dtype === "f32" ? values : Uint16Array.from(values, toBf16);
}

/** Every third element or so, `kept` of them in each row, ascending. */
function elementsOf(rows: number, headDim: number, kept: number): Uint16Array {
  const row = (r: number) => Array.from({ length: kept }, (_, j) => (j * 3 + r) % headDim);
  const distinct = (r: number) => {
    const chosen = new Set(row(r));
    for (let c = 0; chosen.size < kept; c++) chosen.add(c);
    return [...chosen].sort((a, b) => a - b);
  };
  return Uint16Array.from(Array.from({ length: rows }, (_, r) => distinct(r)).flat());
}

describe("packTokens", () => {
  it("elements 1, 7 and 9 of a row of 10 set bits 1, 7 and 9 and are stored in this order", () => {
    const target = emptyRows("f32", 1, 2, 10, 3);
    const source = headsFirst(
      Float32Array.from({ length: 10 }, (_, c) => c + 0.5),
      1,
      1,
      10,
    );
    reference.packTokens(source, { kept: 3, indices: Uint16Array.of(1, 7, 9) }, target, 1);
    expect([...target.bitmap]).toEqual([0, 0, 0b10000010, 0b10]);
    expect([...target.values]).toEqual([0, 0, 0, 1.5, 7.5, 9.5]);
  });

  it("a place is written anew: bits of what stood there are gone", () => {
    const target = emptyRows("bf16", 1, 1, 8, 1);
    target.bitmap.fill(255);
    const source = headsFirst(stored("bf16", 8, 0), 1, 1, 8);
    reference.packTokens(source, { kept: 1, indices: Uint16Array.of(3) }, target, 0);
    expect([...target.bitmap]).toEqual([0b1000]);
  });

  it.each([
    ["an index of 8 in rows of 8", { kept: 2, indices: Uint16Array.of(0, 8, 0, 1) }, 0, /element 1 of row 0 .*1\.\.7/],
    ["a repeated index", { kept: 2, indices: Uint16Array.of(0, 1, 3, 3) }, 0, /element 1 of row 1 .*4\.\.7/],
    ["another number of elements", { kept: 3, indices: new Uint16Array(6) }, 0, /elements\.kept must be 2/],
    ["too few indices", { kept: 2, indices: Uint16Array.of(0, 1) }, 0, /elements\.indices must be .* 4 elements/],
    ["Int32 indices", { kept: 2, indices: new Int32Array(4) as unknown as Uint16Array }, 0, /must be a Uint16Array/],
    ["no elements", undefined as never, 0, /elements must be KeptElements/],
    ["a start that leaves no room", { kept: 2, indices: Uint16Array.of(0, 1, 0, 1) }, 2, /start must .* at most 1/],
    ["a negative start", { kept: 2, indices: Uint16Array.of(0, 1, 0, 1) }, -1, /start must be an integer >= 0/],
  ])("%s is refused", (_, elements, start, message) => {
    const source = headsFirst(new Float32Array(16), 1, 2, 8);
    refused(() => reference.packTokens(source, elements, emptyRows("f32", 1, 3, 8, 2), start), message);
  });

  it("a target of another type is refused", () => {
    const source = headsFirst(new Float32Array(8), 1, 1, 8);
    const elements = { kept: 1, indices: Uint16Array.of(0) };
    refused(
      () => reference.packTokens(source, elements, emptyRows("bf16", 1, 1, 8, 1), 0),
      /source\.dtype must be bf16/,
    );
  });
});

/** A task, and the dense caches with the elements that are not kept set to 0. */
function makeTask(dtype: FloatDtype, packed: number, rest: number, d: number, keptK: number, keptV: number) {
  const total = packed + rest;
  const pack = (salt: number, kept: number) => {
    const data = stored(dtype, 2 * total * d, salt);
    const indices = elementsOf(2 * packed, d, kept);
    const view = headsFirst(data, 2, total, d);
    const rows = emptyRows(dtype, 2, packed + 1, d, kept);
    reference.packTokens({ ...view, length: packed }, { kept, indices }, rows, 0);
    const zeroed = data.slice();
    for (let row = 0; row < 2 * packed; row++) {
      const keeps = indices.subarray(row * kept, (row + 1) * kept);
      const at = (Math.floor(row / packed) * total + (row % packed)) * d;
      for (let c = 0; c < d; c++) if (!keeps.includes(c)) zeroed[at + c] = 0;
    }
    return {
      rows: { ...rows, length: packed },
      tail: { ...view, offset: packed * d, length: rest },
      dense: headsFirst(zeroed, 2, total, d),
    };
  };
  const [k, v] = [pack(1, keptK), pack(99, keptV)];
  const q = headsFirst(stored("f32", 4 * d, 7), 4, 1, d);
  const out = () => headsFirst(new Float32Array(4 * d).fill(Number.NaN), 4, 1, d);
  const task: PackedAttention = {
    ...{ q, packedK: k.rows, packedV: v.rows, k: k.tail, v: v.tail, out: out() },
    scale: 0.4,
    logSumExp: new Float32Array(4),
  };
  const dense = { q, k: k.dense, v: v.dense, out: out(), scale: 0.4, logSumExp: new Float32Array(4) };
  return { task, dense };
}

describe("packedAttention", () => {
  const shapes = dtypes.flatMap((dtype) =>
    [
      [1, 1, 8, 1, 8],
      [5, 3, 10, 3, 7],
      [17, 1, 64, 33, 20],
      [64, 31, 128, 40, 65],
    ].map((sizes) => [dtype, ...sizes] as [FloatDtype, number, number, number, number, number]),
  );

  it.each(shapes)(
    "%s: %i packed tokens and %i others of d = %i, keeping %i of K and %i of V, equal dense attention over zeroed rows",
    (...shape) => {
      const { task, dense } = makeTask(...shape);
      reference.packedAttention(task);
      reference.decodeAttention(dense);
      expect(task.out.data).toEqual(dense.out.data);
      expect(task.logSumExp).toEqual(dense.logSumExp);
    },
  );

  it("bf16: 5 packed tokens of d = 10 with 3 and 7 elements are 2 bitmaps of 2 bytes and 20 bytes, read by 4 heads", () => {
    const cost = reference.packedAttention(makeTask("bf16", 5, 3, 10, 3, 7).task);
    expect(cost).toEqual({ cellsComputed: 4 * 8, bytesRead: 4 * (5 * (2 * 2 + 2 * 10) + 3 * 2 * 10 * 2) });
  });

  it("scores of 1000 neither overflow nor vanish", () => {
    const { task } = makeTask("f32", 5, 3, 10, 10, 10);
    reference.packedAttention({ ...task, scale: 1000 });
    expect(Array.from(task.out.data).every(Number.isFinite)).toBe(true);
  });

  const change = (changes: (task: PackedAttention) => Partial<PackedAttention>) => {
    const { task } = makeTask("f32", 5, 3, 10, 3, 7);
    return () => reference.packedAttention({ ...task, ...changes(task) });
  };

  it.each([
    [
      "no packed tokens",
      /packedK\.length must be at least 1/,
      change(({ packedK, packedV }) => ({ packedK: { ...packedK, length: 0 }, packedV: { ...packedV, length: 0 } })),
    ],
    [
      "fewer tokens of V",
      /packedV\.length must be 5, got 4/,
      change(({ packedV }) => ({ packedV: { ...packedV, length: 4 } })),
    ],
    [
      "more tokens than there is room for",
      /packedK\.length must be at most its capacity 6, got 7/,
      change(({ packedK }) => ({ packedK: { ...packedK, length: 7 } })),
    ],
    [
      "a short bitmap",
      /packedK\.bitmap must be a Uint8Array of at least 24/,
      change(({ packedK }) => ({ packedK: { ...packedK, bitmap: new Uint8Array(23) } })),
    ],
    [
      "short values",
      /packedV\.data must be a Float32Array of at least 84/,
      change(({ packedV }) => ({ packedV: { ...packedV, values: new Float32Array(83) } })),
    ],
    [
      "a bit too many",
      /bitmap of head 1, token 4 must have 3 of its first 10 bits set/,
      change(({ packedK }) => ({ packedK: { ...packedK, bitmap: packedK.bitmap.with(20, 255) } })),
    ],
    [
      "a bit beyond d",
      /bitmap of head 0, token 0 must have 3 of its first 10 bits set/,
      change(({ packedK }) => ({ packedK: { ...packedK, bitmap: packedK.bitmap.with(1, 0b100) } })),
    ],
    [
      "no uncompressed tokens",
      /k\.length must be at least 1/,
      change(({ k, v }) => ({ k: { ...k, length: 0 }, v: { ...v, length: 0 } })),
    ],
    [
      "bf16 rows beside an f32 tail",
      /packedK\.dtype must be f32, got bf16/,
      change(({ packedK }) => ({ packedK: { ...packedK, dtype: "bf16", values: new Uint16Array(99) } })),
    ],
    ["an infinite scale", /scale must be a finite number/, change(() => ({ scale: Number.POSITIVE_INFINITY }))],
    [
      "a short logSumExp",
      /logSumExp must be a Float32Array of at least 4/,
      change(() => ({ logSumExp: new Float32Array(3) })),
    ],
    ["no packed rows", /packedK must be PackedRows/, change(() => ({ packedK: undefined as unknown as PackedRows }))],
  ])("%s: refused", (_, message, call) => {
    refused(call, message);
  });
});
