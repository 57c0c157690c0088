import { type DecodeAttention, type HeadTensor, type Mask, type PrefillAttention, WinnowError } from "@winnow/core";
import { afterAll, describe, expect, test } from "vitest";
import { loadNative, type NativeOperations } from "./index.js";
import { randomFloats, randomHeads, zeroHeads } from "./testing/data.js";

const native = loadNative({ threads: 2 });
afterAll(() => native.close());

const floats = (count: number) => randomFloats(count, 1);
const view = (heads: number, length: number, headDim = 16) => randomHeads({ heads, length, headDim }, 1);

function prefill(change: Partial<PrefillAttention>, n = 70) {
  const out = zeroHeads({ heads: 4, length: n, headDim: 16 });
  const task = { q: view(4, n), k: view(2, n), v: view(2, n), out, scale: 0.25, masks: [{ form: "dense" } as Mask] };
  return native.prefillAttention({ ...task, ...change });
}

function decode(change: Partial<DecodeAttention>) {
  const out = zeroHeads({ heads: 4, length: 1, headDim: 16 });
  return native.decodeAttention({ q: view(4, 1), k: view(2, 9), v: view(2, 9), out, scale: 0.25, ...change });
}

function rangesMask(change: object): Mask {
  return {
    form: "ranges",
    blockSize: 64,
    rangeOffsets: Int32Array.of(0, 1, 3),
    ranges: Int32Array.of(0, 64, 0, 10, 20, 70),
    rangeFlags: Uint8Array.of(0, 0, 1),
    columnOffsets: Int32Array.of(0, 0, 1),
    columns: Int32Array.of(15),
    bands: [{ sinkTokens: 0, recentTokens: 30, denseFromRow: 70 }],
    ...change,
  } as Mask;
}

const far = { ...view(4, 70), headStride: 2 ** 52 };
const nowhere = { ...view(2, 70), data: new Float32Array(3) };

type Refusal = [title: string, action: (native: NativeOperations) => unknown, message: RegExp];

const refusals: Refusal[] = [
  [
    "linear: rows of x beyond its end",
    (n) => n.linear(floats(7), 2, packed(), floats(8)),
    /x must be a Float32Array of at least 8 elements, got Float32Array of 7/,
  ],
  ["linear: out too short", (n) => n.linear(floats(8), 2, packed(), floats(5)), /out must be/],
  ["linear: out over x", (n) => overlappingLinear(n), /out must not overlap x/],
  [
    "linear: a weight without its panels",
    (n) => n.linear(floats(8), 2, { ...packed(), data: floats(10) }, floats(8)),
    /weight.data must be/,
  ],
  [
    "packWeight: a weight without its last row",
    (n) => n.packWeight({ ...dense, data: floats(11) }, "f32"),
    /weight.data must be/,
  ],
  [
    "packWeight: a type that does not exist",
    (n) => n.packWeight(dense, "f16" as "f32"),
    /dtype must be "f32" or "bf16", got "f16"/,
  ],
  [
    "embed: an id outside the vocabulary",
    (n) => n.embed(Int32Array.of(0, 3), floats(9), 3, floats(6)),
    /ids\[1\] must be in 0\.\.2, got 3/,
  ],
  [
    "embed: a negative id",
    (n) => n.embed(Int32Array.of(-1), floats(9), 3, floats(6)),
    /ids\[0\] must be in 0\.\.2, got -1/,
  ],
  [
    "rmsNorm: negative epsilon",
    (n) => n.rmsNorm(floats(4), 2, 2, floats(2), -1, floats(4)),
    /epsilon must be a finite number >= 0, got -1/,
  ],
  ["rmsNorm: width 0", (n) => n.rmsNorm(floats(4), 2, 0, floats(2), 0, floats(4)), /width must be an integer in 1/],
  [
    "rope: odd width",
    (n) => n.rope(view(1, 2, 5), Int32Array.of(0, 1), floats(9), floats(9)),
    /x.headDim must be even, got 5/,
  ],
  [
    "rope: a position without angles",
    (n) => n.rope(view(1, 2), Int32Array.of(0, 4), floats(32), floats(32)),
    /positions\[1\] must be in 0\.\.3, got 4/,
  ],
  [
    "rope: bf16",
    (n) =>
      n.rope(
        randomHeads({ heads: 1, length: 2, headDim: 4 }, 1, { dtype: "bf16" }),
        Int32Array.of(0, 1),
        floats(9),
        floats(9),
      ),
    /x.dtype must be f32, got "bf16"/,
  ],
  [
    "gatedActivation: an unknown name",
    (n) => n.gatedActivation(floats(2), floats(2), 2, "swish" as "silu"),
    /activation must be one of silu, gelu, gelu-tanh, relu, got "swish"/,
  ],
  [
    "add: more elements than there are",
    (n) => n.add(floats(2), floats(2), 3),
    /x must be a Float32Array of at least 3/,
  ],
  [
    "add: a float64 array",
    (n) => n.add(new Float64Array(3) as never, floats(3), 3),
    /x must be a Float32Array of at least 3 elements, got Float64Array of 3/,
  ],
  [
    "storeTokens: no room",
    (n) => n.storeTokens(view(2, 5), view(2, 8), 4),
    /start must leave room for 5 tokens of 8, got 4/,
  ],
  ["storeTokens: other heads", (n) => n.storeTokens(view(2, 5), view(3, 8), 0), /target.heads must be 2, got 3/],
  [
    "gatherTokens: an index beyond the cache",
    (n) => n.gatherTokens(view(1, 5), Int32Array.of(1, 5), Int32Array.of(0, 2), view(1, 5)),
    /indices\[1\] must be ascending and in 2\.\.4, got 5/,
  ],
  [
    "gatherTokens: falling indices",
    (n) => n.gatherTokens(view(1, 5), Int32Array.of(3, 2), Int32Array.of(0, 2), view(1, 5)),
    /indices\[1\] must be ascending/,
  ],
  [
    "gatherTokens: falling offsets",
    (n) => n.gatherTokens(view(2, 5), Int32Array.of(3, 2), Int32Array.of(0, 2, 1), view(2, 5)),
    /offsets\[2\] must be in 2\.\.2, got 1/,
  ],
  [
    "gatherTokens: a target that is too short",
    (n) => n.gatherTokens(view(1, 5), Int32Array.of(2, 3), Int32Array.of(0, 2), view(1, 1)),
    /target.length must be at least/,
  ],
  [
    "gatherTokens: a target that overlaps its source",
    (n) => shiftedGather(n),
    /target must be separate memory, or the same view/,
  ],
  [
    "prefillAttention: heads that do not divide",
    () => prefill({ k: view(3, 70), v: view(3, 70) }),
    /q.heads must be a multiple of k.heads \(3\), got 4/,
  ],
  [
    "prefillAttention: keys of another length",
    () => prefill({ k: view(2, 60), v: view(2, 60) }),
    /k.length must be q.length \(70\), got 60/,
  ],
  [
    "prefillAttention: v of another type",
    () => prefill({ v: randomHeads({ heads: 2, length: 70, headDim: 16 }, 1, { dtype: "bf16" }) }),
    /v.dtype must be f32, got "bf16"/,
  ],
  [
    "prefillAttention: a view beyond its data",
    () => prefill({ k: nowhere }),
    /k.data must be a Float32Array of at least/,
  ],
  ["prefillAttention: strides that overflow", () => prefill({ q: far }), /q.data must be a Float32Array of at least/],
  ["prefillAttention: no tokens", () => prefill({}, 0), /q.length must be at least 1, got 0/],
  [
    "prefillAttention: heads wider than 256",
    () => prefill({ q: view(4, 70, 257) }),
    /q.headDim must be at most 256, got 257/,
  ],
  ["prefillAttention: NaN scale", () => prefill({ scale: Number.NaN }), /scale must be a finite number, got NaN/],
  [
    "prefillAttention: masks for some heads",
    () => prefill({ masks: [{ form: "dense" }, { form: "dense" }] }),
    /masks.length must be 1 or 4, got 2/,
  ],
  [
    "prefillAttention: no mask",
    () => prefill({ masks: [null as never] }),
    /masks\[0\].*it must be an object, got null/,
  ],
  [
    "prefillAttention: an unknown form",
    () => prefill({ masks: [{ form: "spiral" } as never] }),
    /form must be dense, band, blocks, vertical-slash or ranges/,
  ],
  [
    "prefillAttention: a band without the row's own key",
    () => prefill({ masks: [{ form: "band", sinkTokens: 1, recentTokens: 0, denseFromRow: 9 }] }),
    /recentTokens must be an integer >= 1, got 0/,
  ],
  [
    "prefillAttention: logSumExp too short",
    () => prefill({ logSumExp: floats(279) }),
    /logSumExp must be a Float32Array of at least 280/,
  ],
  [
    "prefillAttention: out over another view of q",
    () => overlappingPrefill(),
    /out must be separate memory, or the same view/,
  ],
  [
    "prefillAttention: a cancel flag that no other thread can set",
    () => prefill({ cancel: new Int32Array(1) }),
    /cancel must lie on a SharedArrayBuffer/,
  ],
  [
    "prefillAttention: unsorted ranges",
    () => prefill({ masks: [rangesMask({ ranges: Int32Array.of(0, 64, 20, 70, 0, 10) })] }),
    /masks\[0\].ranges\[4\] must start an ascending, disjoint range/,
  ],
  [
    "prefillAttention: overlapping ranges",
    () => prefill({ masks: [rangesMask({ ranges: Int32Array.of(0, 64, 0, 30, 20, 70) })] }),
    /ranges\[4\]/,
  ],
  [
    "prefillAttention: a range beyond n",
    () => prefill({ masks: [rangesMask({ ranges: Int32Array.of(0, 64, 0, 10, 20, 71) })] }),
    /ranges\[4\]/,
  ],
  [
    "prefillAttention: offsets beyond the ranges",
    () => prefill({ masks: [rangesMask({ rangeOffsets: Int32Array.of(0, 1, 4) })] }),
    /rangeOffsets\[2\] must be in 1\.\.3, got 4/,
  ],
  [
    "prefillAttention: too few offsets",
    () => prefill({ masks: [rangesMask({ columnOffsets: Int32Array.of(0, 1) })] }),
    /columnOffsets must hold 3 elements, got 2/,
  ],
  [
    "prefillAttention: a column inside a range",
    () => prefill({ masks: [rangesMask({ columns: Int32Array.of(20) })] }),
    /columns\[0\] must lie outside/,
  ],
  [
    "prefillAttention: a flag without its band",
    () => prefill({ masks: [rangesMask({ bands: [] })] }),
    /rangeFlags\[2\] must name bands below 0, got 1/,
  ],
  [
    "prefillAttention: ranges of the wrong array type",
    () => prefill({ masks: [rangesMask({ columns: [15] })] }),
    /columns must be a typed array/,
  ],
  [
    "decodeAttention: two queries",
    () => decode({ q: view(4, 2), out: zeroHeads({ heads: 4, length: 2, headDim: 16 }) }),
    /q.length must be 1, got 2/,
  ],
  [
    "decodeAttention: an empty list",
    () => decode({ tokens: { indices: Int32Array.of(1, 2, 3), offsets: Int32Array.of(0, 1, 1, 2, 3) } }),
    /tokens.offsets\[1\] must start a list that is not empty/,
  ],
  [
    "decodeAttention: an index beyond the cache",
    () => decode({ tokens: { indices: Int32Array.of(1, 2, 3, 9), offsets: Int32Array.of(0, 1, 2, 3, 4) } }),
    /tokens.indices\[3\] must be ascending and in 0\.\.8, got 9/,
  ],
  [
    "decodeAttention: an index beyond its head's length",
    () =>
      decode({
        lengths: Int32Array.of(9, 2),
        tokens: { indices: Int32Array.of(1, 2, 3, 1), offsets: Int32Array.of(0, 1, 2, 3, 4) },
      }),
    /tokens.indices\[2\]/,
  ],
  [
    "decodeAttention: scores of lists",
    () =>
      decode({
        scores: floats(36),
        tokens: { indices: Int32Array.of(1, 2, 3, 4), offsets: Int32Array.of(0, 1, 2, 3, 4) },
      }),
    /scores must be absent where tokens are given/,
  ],
  [
    "decodeAttention: a length beyond the cache",
    () => decode({ lengths: Int32Array.of(9, 10) }),
    /lengths\[1\] must be an integer in 1\.\.9, got 10/,
  ],
  [
    "scores: a head that does not exist",
    (n) => n.scores({ q: view(2, 3), k: view(2, 4), head: 2, kvHead: 0, scale: 1 }, floats(12)),
    /head must be an integer in 0\.\.1, got 2/,
  ],
  [
    "scores: keys of another width",
    (n) => n.scores({ q: view(2, 3), k: view(2, 4, 8), head: 0, kvHead: 0, scale: 1 }, floats(12)),
    /k.headDim must be 16, got 8/,
  ],
  [
    "softmaxRows: fewer numbers than rows x columns",
    (n) => n.softmaxRows(floats(5), 2, 3),
    /x must be a Float32Array of at least 6/,
  ],
  [
    "poolMean: out without whole rows",
    (n) => n.poolMean(view(1, 10), 0, 4, floats(49)),
    /out must hold whole rows of 16/,
  ],
  [
    "poolMean: out without the last block",
    (n) => n.poolMean(view(1, 10), 0, 4, floats(32)),
    /out must be a Float32Array of at least 48/,
  ],
  [
    "outerScores: x without whole rows",
    (n) => n.outerScores(floats(7), floats(8), 4, 1, floats(9)),
    /x must hold whole rows of 4/,
  ],
  ["topK: more than there are", (n) => n.topK(floats(5), 4, 2), /k must be an integer in 0\.\.3, got 4/],
  ["topK: NaN", (n) => n.topK(Float32Array.of(1, 2, Number.NaN, 3), 1, 1), /values\[2\] must be a number, got NaN/],
  ["topK: an end beyond the values", (n) => n.topK(floats(5), 1, 0, 6), /end must be an integer in 0\.\.5, got 6/],
  [
    "topKRows: NaN",
    (n) => n.topKRows(Float32Array.of(1, 2, 3, Number.NaN), 2, 2, 1),
    /values\[3\] must be a number, got NaN/,
  ],
  [
    "prefixMass: a negative value",
    (n) => n.prefixMass(Float32Array.of(1, -2), 0.5),
    /values\[1\] must be finite and not negative, got -2/,
  ],
  ["prefixMass: mass above 1", (n) => n.prefixMass(floats(2).map(Math.abs), 1.5), /mass must be in 0\.\.1, got 1.5/],
  ["loadNative: no thread", () => loadNative({ threads: 0 }), /threads must be an integer in 1\.\.1024, got 0/],
];

const dense = { format: "dense", dtype: "f32", outFeatures: 3, inFeatures: 4, data: floats(12) } as const;
function packed() {
  return native.packWeight(dense, "f32");
}

function overlappingLinear(operations: NativeOperations) {
  const memory = floats(20);
  operations.linear(memory.subarray(0, 8), 2, packed(), memory.subarray(7));
}

function shiftedGather(operations: NativeOperations) {
  const x = view(1, 5);
  operations.gatherTokens(x, Int32Array.of(2, 3), Int32Array.of(0, 2), { ...x, offset: x.offset - 1 });
}

function overlappingPrefill() {
  const q = view(4, 70);
  const out: HeadTensor = { ...q, offset: q.offset - 1 };
  return prefill({ q, out });
}

describe("ERR_OPERATION_ARGUMENT refuses", () => {
  test.each(refusals)("%s", (_, action, message) => {
    const error = thrownBy(() => action(native));
    expect(error.message).toMatch(/^Cannot run /);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("ERR_OPERATION_ARGUMENT");
  });
});

test("the task that refusals change is fine without the change", () => {
  expect(prefill({}).cellsComputed).toBeGreaterThan(0);
  expect(prefill({ masks: [rangesMask({})] }).cellsComputed).toBeGreaterThan(0);
  expect(decode({}).cellsComputed).toBe(36);
});

test("prefillAttention refuses an exact vertical-slash mask with ERR_KERNEL_UNSUPPORTED", () => {
  const columns = Int32Array.of(0);
  const mask: Mask = { form: "vertical-slash", columns, slashes: Int32Array.of(0), exact: true };
  expect(thrownBy(() => prefill({ masks: [mask] })).code).toBe("ERR_KERNEL_UNSUPPORTED");
});

test("linear refuses a weight that was not packed with ERR_KERNEL_UNSUPPORTED", () => {
  const error = thrownBy(() => native.linear(floats(4), 1, dense, floats(3)));
  expect(error.code).toBe("ERR_KERNEL_UNSUPPORTED");
  expect(error.message).toContain("packWeight");
});

test("softmaxRows reports the row of NaN with ERR_NON_FINITE", () => {
  const error = thrownBy(() => native.softmaxRows(Float32Array.of(1, 2, Number.NaN, 3), 2, 2));
  expect(error.code).toBe("ERR_NON_FINITE");
  expect(error.message).toContain("row 1");
});

test("an instruction set that is not available is refused with those that are", () => {
  const error = thrownBy(() => loadNative({ isa: "riscv" as "generic" }));
  expect(error.code).toBe("ERR_ISA_UNSUPPORTED");
  expect(error.message).toContain("generic");
});

test("operations after close are refused with ERR_ENGINE_CLOSED", () => {
  const closed = loadNative({ threads: 1 });
  closed.close();
  closed.close();
  expect(thrownBy(() => closed.add(floats(1), floats(1), 1)).code).toBe("ERR_ENGINE_CLOSED");
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
