import {
  type FloatDtype,
  type HeadTensor,
  headsFirst,
  type KeptElements,
  type PackedAttention,
  type PackedRows,
  WinnowError,
} from "@winnow/core";
import { afterAll, describe, expect, test } from "vitest";
import { loadNative, type NativeOperations, nativeStatus } from "./index.js";
import { randomFloats, randomHeads, zeroHeads } from "./testing/data.js";

const status = nativeStatus();
const instances: NativeOperations[] = [];
if (status.available) {
  for (const isa of status.instructionSets) for (const threads of [1, 2]) instances.push(loadNative({ isa, threads }));
}
afterAll(() => {
  for (const instance of instances) instance.close();
});

interface Shape {
  readonly dtype: FloatDtype;
  readonly kvHeads: number;
  readonly group: number;
  readonly headDim: number;
  readonly packed: number;
  readonly rest: number;
  readonly kept: number;
}

/** The same number of elements of each row, from another place on in each. */
function someElements({ kvHeads, packed, headDim, kept }: Shape): KeptElements {
  const indices = new Uint16Array(kvHeads * packed * kept);
  for (let row = 0; row < kvHeads * packed; row++) {
    const run = Array.from({ length: kept }, (_, j) => (row * 5 + j * (kept * 2 > headDim ? 1 : 2)) % headDim);
    indices.set(
      run.sort((a, b) => a - b),
      row * kept,
    );
  }
  return { kept, indices };
}

function emptyRows({ dtype, kvHeads: heads, packed, headDim, kept }: Shape, capacity = packed + 3): PackedRows {
  const values = new (dtype === "bf16" ? Uint16Array : Float32Array)(heads * capacity * kept);
  const bitmap = new Uint8Array(heads * capacity * Math.ceil(headDim / 8));
  return { dtype, heads, length: packed, capacity, headDim, kept, bitmap, values };
}

/** A copy of the first tokens of a cache whose other elements are 0. */
function zeroOthers(x: HeadTensor, { indices, kept }: KeptElements, { packed }: Shape): HeadTensor {
  const copy = headsFirst(x.data.slice(x.offset), x.heads, x.length, x.headDim);
  for (let row = 0; row < x.heads * packed; row++) {
    const at = Math.floor(row / packed) * copy.headStride + (row % packed) * copy.tokenStride;
    const places = new Set(indices.subarray(row * kept, (row + 1) * kept));
    for (let c = 0; c < x.headDim; c++) if (!places.has(c)) copy.data[at + c] = 0;
  }
  return copy;
}

const part = (x: HeadTensor, start: number, end: number): HeadTensor => ({
  ...x,
  offset: x.offset + start * x.tokenStride,
  length: end - start,
});

function taskOf(native: NativeOperations, shape: Shape): { task: PackedAttention; dense: [HeadTensor, HeadTensor] } {
  const { dtype, kvHeads, group, headDim, packed, rest } = shape;
  const elements = someElements(shape);
  const cache = (seed: number) => randomHeads({ heads: kvHeads, length: packed + rest, headDim }, seed, { dtype });
  const rowsOf = (x: HeadTensor) => {
    const rows = emptyRows(shape);
    native.packTokens(part(x, 0, packed), elements, rows, 0);
    return rows;
  };
  const [k, v] = [cache(2), cache(3)];
  const task = {
    q: randomHeads({ heads: kvHeads * group, length: 1, headDim }, 1),
    packedK: rowsOf(k),
    packedV: rowsOf(v),
    k: part(k, packed, packed + rest),
    v: part(v, packed, packed + rest),
    out: zeroHeads({ heads: kvHeads * group, length: 1, headDim }),
    scale: headDim ** -0.5,
    logSumExp: new Float32Array(kvHeads * group),
  };
  return { task, dense: [zeroOthers(k, elements, shape), zeroOthers(v, elements, shape)] };
}

const shapes: Shape[] = (["f32", "bf16"] as const).flatMap((dtype) => [
  ...[8, 64, 128].flatMap((headDim) =>
    [1, headDim / 2 - 1, headDim].map((kept) => ({ dtype, kvHeads: 2, group: 3, headDim, packed: 33, rest: 7, kept })),
  ),
  ...[1, 8].map((group) => ({ dtype, kvHeads: 2, group, headDim: 64, packed: 521, rest: 1, kept: 19 })),
  { dtype, kvHeads: 1, group: 3, headDim: 128, packed: 1, rest: 600, kept: 38 },
]);

describe.each(shapes)(
  "packedAttention $dtype, $packed packed tokens and $rest others, d = $headDim with $kept elements, $group queries a head",
  (shape) => {
    test("gives the bits of decodeAttention over rows with zeros, on every instruction set with 1 and 2 threads", () => {
      for (const native of instances) {
        const { task, dense } = taskOf(native, shape);
        const out = zeroHeads({ heads: task.q.heads, length: 1, headDim: shape.headDim });
        const logSumExp = new Float32Array(task.q.heads);
        native.decodeAttention({ ...task, k: dense[0], v: dense[1], out, logSumExp });
        const cost = native.packedAttention(task);
        expect(task.out.data).toEqual(out.data);
        expect(task.logSumExp).toEqual(logSumExp);
        const bytes = shape.dtype === "bf16" ? 2 : 4;
        const row = 2 * (shape.headDim / 8 + shape.kept * bytes);
        const read = shape.kvHeads * (shape.packed * row + shape.rest * 2 * shape.headDim * bytes);
        expect(cost).toEqual({ cellsComputed: task.q.heads * (shape.packed + shape.rest), bytesRead: read });
      }
    });
  },
);

test("packTokens writes tokens from `start` on and leaves the others", () => {
  for (const native of instances) {
    const rows: PackedRows = { ...emptyRows({ ...small, kvHeads: 1, kept: 2, headDim: 10 }, 3), length: 1 };
    rows.bitmap.fill(0xff);
    rows.values.fill(-1);
    const source = headsFirst(
      Float32Array.from({ length: 20 }, (_, i) => i + 1),
      1,
      2,
      10,
    );
    native.packTokens(source, { kept: 2, indices: Uint16Array.of(0, 9, 3, 8) }, rows, 1);
    expect(rows.bitmap).toEqual(Uint8Array.of(0xff, 0xff, 0x01, 0x02, 0x08, 0x01));
    expect(rows.values).toEqual(Float32Array.of(-1, -1, 1, 10, 14, 19));
  }
});

const small: Shape = { dtype: "f32", kvHeads: 2, group: 2, headDim: 16, packed: 4, rest: 2, kept: 3 };

describe("packedAttention throws ERR_OPERATION_ARGUMENT for", () => {
  const changedRows = (change: (rows: PackedRows) => Partial<PackedRows>) => (task: PackedAttention) => ({
    ...task,
    packedV: { ...task.packedV, ...change(task.packedV) },
  });
  const changedBits = (row: number, bits: readonly number[]) =>
    changedRows(({ bitmap }) => {
      bitmap.set(bits, row * 2);
      return {};
    });
  const refusals: [title: string, change: (task: PackedAttention) => PackedAttention, message: RegExp][] = [
    ["a row with too many bits", changedBits(3, [0xff, 0]), /packedV.bitmap must have 3 bits .* head 0, token 3/],
    ["a row without bits", changedBits(7, [0, 0]), /packedV.bitmap must have 3 bits .* head 1, token 0/],
    ["a bitmap that is too short", changedRows(() => ({ bitmap: new Uint8Array(27) })), /packedV.bitmap must be a/],
    ["values that are too short", changedRows(() => ({ values: floats(41) })), /packedV.values must be a Float32Array/],
    ["values of another type", changedRows(() => ({ values: new Uint16Array(42) })), /packedV.values must be/],
    ["bf16 rows beside float32 ones", changedRows(asBf16), /packedV.dtype must be f32/],
    [
      "more elements kept than there are",
      changedRows(() => ({ kept: 17 })),
      /packedV.kept must be an integer in 1..16/,
    ],
    ["nothing kept", changedRows(() => ({ kept: 0 })), /packedV.kept must be/],
    ["more tokens than capacity", changedRows(() => ({ length: 8 })), /packedV.length must be an integer in 0..7/],
    ["fewer tokens of V than of K", changedRows(() => ({ length: 3 })), /packedV.length must be 4, got 3/],
    ["rows of another width", changedRows(() => ({ headDim: 15 })), /packedV.headDim must be 16/],
    ["no packed tokens", (task) => ({ ...task, packedK: { ...task.packedK, length: 0 } }), /packedK.length must be/],
    ["no tokens after them", (task) => ({ ...task, k: part(task.k, 0, 0) }), /k.length must be at least 1/],
    ["no rows at all", (task) => ({ ...task, packedK: undefined as never }), /packedK must be PackedRows/],
  ];
  test.each(refusals)("%s", (_, change, message) => {
    for (const native of instances) {
      const { task } = taskOf(native, small);
      const refused = expectRefusal(() => native.packedAttention(change(task)));
      expect(refused.message).toMatch(message);
      expect(task.out.data.every((x) => x === 0)).toBe(true);
    }
  });
});

describe("packTokens throws ERR_OPERATION_ARGUMENT and writes nothing for", () => {
  const source = randomHeads({ heads: 2, length: 4, headDim: 16 }, 1);
  const elements = someElements(small);
  const withIndex = (place: number, index: number): KeptElements => {
    const indices = elements.indices.slice();
    indices[place] = index;
    return { ...elements, indices };
  };
  type Arguments = Parameters<NativeOperations["packTokens"]>;
  const refusals: [title: string, task: (target: PackedRows) => Arguments, message: RegExp][] = [
    ["an index beyond the row", (t) => [source, withIndex(23, 16), t, 0], /indices must ascend below headDim.* row 7/],
    ["an index twice", (t) => [source, withIndex(1, elements.indices[0]), t, 0], /must ascend below headDim.* row 0/],
    ["too few indices", (t) => [source, { kept: 3, indices: new Uint16Array(23) }, t, 0], /elements.indices must be/],
    ["another number than the rows hold", (t) => [source, elements, { ...t, kept: 2 }, 0], /target.kept must be 3/],
    ["no room", (t) => [source, elements, t, 4], /start must leave room for 4 tokens of 7, got 4/],
    ["rows of another type", (t) => [source, elements, { ...t, ...asBf16(t) }, 0], /target.dtype must be f32/],
    [
      "values that lie in the source",
      (t) => [headsFirst(t.values, 2, 1, 16), { kept: 3, indices: Uint16Array.of(0, 1, 2, 0, 1, 2) }, t, 0],
      /target.values must be separate/,
    ],
  ];
  test.each(refusals)("%s", (_, argumentsOf, message) => {
    for (const native of instances) {
      const target = emptyRows(small);
      expect(expectRefusal(() => native.packTokens(...argumentsOf(target))).message).toMatch(message);
      expect(target.bitmap.every((byte) => byte === 0)).toBe(true);
    }
  });
});

function floats(count: number): Float32Array {
  return randomFloats(count, 1);
}

function asBf16({ values }: PackedRows): Partial<PackedRows> {
  return { dtype: "bf16", values: new Uint16Array(values.length) };
}

function expectRefusal(action: () => unknown): WinnowError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(WinnowError);
    expect((error as WinnowError).code).toBe("ERR_OPERATION_ARGUMENT");
    return error as WinnowError;
  }
  return expect.fail("nothing was thrown");
}
