import { describe, expect, test } from "vitest";
import { calibrationSchema } from "../config/weights.js";
import { explainPlan } from "./explain.js";
import type { Plan } from "./plan.js";

const head = (start: number, end: number) => ({ start, end });

const plan: Plan = {
  model: {
    folder: "/models/small",
    architecture: "llama",
    shape: { layers: 4, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 512 },
    slidingWindow: [null, null, null, null],
    weightFormats: [],
  },
  precision: "bf16",
  workers: 2,
  threads: 1,
  kernels: {
    assignment: {
      linear: "onnx",
      prefillAttention: "native",
      decodeAttention: "native",
      packedAttention: "native",
      elementwise: "native",
      cache: "native",
      primitives: "native",
      linearAlgebra: "native",
    },
    isa: "x86_avx2",
    weightFormats: ["dense"],
    notChosen: [
      { operation: "linear", id: "native", reason: "not built" },
      { operation: "linear", id: "reference", reason: "its priority of 0 is not above onnx's 50" },
      { operation: "prefillAttention", id: "onnx", reason: "its prefillAttention kernels do not take bf16" },
      { operation: "cache", id: "reference", reason: "its priority of 0 is not above native's 100" },
      { operation: "primitives", id: "reference", reason: "its priority of 0 is not above native's 100" },
    ],
  },
  prefill: [
    { layer: 0, heads: head(0, 4), masker: "dense", options: {} },
    { layer: 1, heads: head(0, 1), masker: "dense", options: {} },
    { layer: 1, heads: head(1, 4), masker: "band", options: { width: 8 } },
    { layer: 2, heads: head(0, 1), masker: "dense", options: {} },
    { layer: 2, heads: head(1, 4), masker: "band", options: { width: 8 } },
    { layer: 3, heads: head(0, 4), masker: "band", options: { width: 9 } },
  ],
  decode: [
    { layers: [0, 1, 3], kvPruner: "window", options: {} },
    { layers: [2], kvPruner: "window", options: { width: 9 } },
  ],
  weights: { sparsifiers: [], calibration: calibrationSchema.parse({}), format: "auto" },
  plugins: [{ id: "band", url: "file:///p.js", package: "winnow-plugin-band", version: "1.2.3" }],
  provenance: [
    {
      path: "prefill.masker",
      value: "band",
      origin: "yaml",
      location: { file: "p.yaml", line: 3, column: 11 },
    },
    { path: "threads", value: "auto", origin: "default" },
    { path: "prefill.options.width", value: 8, origin: "plugin default" },
    { path: "prefill.options.file", value: undefined, origin: "plugin default" },
    { path: "workers", value: 2, origin: "set" },
    { path: "model", value: "m", origin: "code" },
  ],
  fallbacks: [{ operation: "linear", wanted: "native", used: "onnx", reason: "not built" }],
};

describe("explainPlan", () => {
  test("explainPlan says what runs in which layers and heads, on which kernels, and where every value came from", () => {
    expect(explainPlan(plan)).toBe(`model       /models/small
            llama: 4 layers, 4 query / 2 KV heads of 16, context 512
precision   bf16 (projections, attention, KV cache)
workers     2, each with 1 thread inside an operation
kernels     onnx: linear
            native: prefillAttention, decodeAttention, packedAttention, elementwise, cache, primitives, linearAlgebra
            instruction set: x86_avx2
            not native: linear (not built)
            not reference: linear (its priority of 0 is not above onnx's 50); cache, primitives (its priority of 0 is not above native's 100)
            not onnx: prefillAttention (its prefillAttention kernels do not take bf16)
prefill     layers 0: dense
            layers 1-2, heads 0: dense
            layers 1-2, heads 1-3: band
            layers 3: band
decode      layers 0-1, 3: window
            layers 2: window
plugins     band (winnow-plugin-band 1.2.3)
fallback    linear on onnx instead of native: not built

values
  prefill.masker         "band"   p.yaml:3:11
  threads                "auto"   default
  prefill.options.width  8        plugin default
  prefill.options.file   not set  plugin default
  workers                2        --set
  model                  "m"      program`);
  });

  test("explainPlan says which layers keep a full cache", () => {
    const decodeOf = (decode: Plan["decode"]) =>
      explainPlan({ ...plan, decode }).match(/decode .*\n(\s+other.*)?/)?.[0];
    expect(decodeOf([])).toBe("decode      all layers: full cache\n");
    expect(decodeOf([{ layers: [0, 2], kvPruner: "window", options: {} }])).toBe(
      "decode      layers 0, 2: window\n            other layers: full cache",
    );
  });

  test("explainPlan gives the same text for the same plan", () => {
    expect(explainPlan(structuredClone(plan))).toBe(explainPlan(plan));
  });
});
