import { readFileSync } from "node:fs";
import type { DenseWeight, FloatDtype } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { dotTolerance, expectClose, Seeded, toStored } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import { assemble } from "./assemble.js";
import plugin from "./index.js";
import { wasmBytes } from "./kernel-memory.js";
import { createWasmLinear, wasmStatus } from "./wasm-linear.js";
import { WebAssembly } from "./web-assembly.js";

const reference = createReference();

function sample(inFeatures: number, outFeatures: number, dtype: FloatDtype, seed = 1): DenseWeight {
  const seeded = new Seeded(seed);
  const data = toStored(seeded.normals(inFeatures * outFeatures), dtype);
  return { format: "dense", dtype, inFeatures, outFeatures, data, bias: seeded.normals(outFeatures) };
}

function multiply(instance: ReturnType<typeof createWasmLinear>, x: Float32Array, rows: number, weight: DenseWeight) {
  const out = new Float32Array(rows * weight.outFeatures).fill(Number.NaN);
  instance.operations.linear!(x, rows, weight, out);
  return out;
}

describe("wasm-linear", () => {
  // Around the vector (4), the rows of x together (4), the tile (64) and the rows of x at a time (64).
  const sizes = [
    [1, 1, 1],
    [3, 5, 3],
    [4, 4, 4],
    [5, 7, 65],
    [63, 12, 63],
    [64, 33, 64],
    [65, 8, 66],
    [130, 100, 129],
  ] as const;
  const cases = (["f32", "bf16"] as const).flatMap((dtype) => sizes.map((size) => [dtype, ...size] as const));

  it.each(cases)(
    "wasm-linear %s: %i rows, in %i, out %i: kept and copied weights equal the reference",
    async (dtype, rows, inFeatures, outFeatures) => {
      const weight = sample(inFeatures, outFeatures, dtype);
      const x = new Seeded(rows).normals(rows * inFeatures);
      const expected = new Float32Array(rows * outFeatures);
      reference.linear(x, rows, weight, expected);
      const instance = createWasmLinear();
      const copied = multiply(instance, x, rows, weight);
      await instance.prepareWeight!(weight);
      const kept = multiply(instance, x, rows, weight);
      // Bounded by |x| |w| per term: normal numbers of this seed stay below 5.
      expectClose(copied, expected, dotTolerance("f32", inFeatures + 1, 25 * inFeatures));
      expect(kept).toEqual(copied);
    },
  );

  it("wasm-linear gives a row the same bits, whichever rows stand beside it", () => {
    const weight = sample(37, 70, "f32");
    const x = new Seeded(7).normals(7 * 37);
    const instance = createWasmLinear();
    const together = multiply(instance, x, 7, weight);
    for (let r = 0; r < 7; r++) {
      const alone = multiply(instance, x.slice(r * 37, (r + 1) * 37), 1, weight);
      expect(alone).toEqual(together.slice(r * 70, (r + 1) * 70));
    }
  });

  it("wasm-linear leaves nothing behind: NaN in one product does not reach a smaller one", () => {
    const instance = createWasmLinear();
    multiply(instance, new Float32Array(70 * 9).fill(Number.NaN), 70, sample(9, 70, "f32"));
    expect(
      multiply(instance, Float32Array.of(1, 2, 3), 1, {
        ...sample(3, 1, "f32"),
        data: Float32Array.of(4, 5, 6),
        bias: Float32Array.of(0.5),
      }),
    ).toEqual(Float32Array.of(32.5));
  });

  it("wasm-linear reads all of a weight, and nothing for no rows", () => {
    const { linear } = createWasmLinear().operations;
    const weight = sample(3, 2, "bf16");
    expect(linear!(new Float32Array(3), 1, weight, new Float32Array(2))).toBe(2 * 6 + 4 * 2);
    expect(linear!(new Float32Array(0), 0, weight, new Float32Array(0))).toBe(0);
  });

  it("wasm-linear runs where WebAssembly SIMD does, and stands between reference and native", () => {
    expect(wasmStatus()).toEqual({ available: true });
    const made = plugin.create(plugin.options.parse({}), {} as never);
    expect(made.priority).toBeGreaterThan(0);
    expect(made.priority).toBeLessThan(50);
  });
});

describe("kernel.wat", () => {
  it("kernel.wat is what module-bytes.ts holds", () => {
    const source = readFileSync(new URL("kernel.wat", import.meta.url), "utf8");
    expect(assemble(source)).toEqual(wasmBytes());
  });
});

describe("assemble", () => {
  it("assemble encodes a function as the specification says", () => {
    const source = `(module (memory (export "m") 1)
      (func (export "f") (param $a i32) (result i32) local.get $a i32.const -65 i32.add))`;
    const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
    const sections = [
      [1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f],
      [3, 2, 1, 0],
      [5, 3, 1, 0, 1],
      [7, 9, 2, 1, 0x6d, 2, 0, 1, 0x66, 0, 0],
      [10, 10, 1, 8, 0, 0x20, 0, 0x41, 0xbf, 0x7f, 0x6a, 0x0b],
    ];
    const bytes = assemble(source);
    expect([...bytes]).toEqual([...header, ...sections.flat()]);
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    expect((f as (a: number) => number)(5)).toBe(-60);
  });

  it.each([
    ["an instruction", '(module (memory (export "m") 1) (func i64.add))', /unknown instruction i64.add/],
    ["a local", '(module (memory (export "m") 1) (func local.get $x))', /unknown name \$x/],
    ["a text that is no module", "(func)", /expected \(module/],
  ])("assemble names %s that it does not know", (_, source, message) => {
    expect(() => assemble(source)).toThrow(message);
  });
});
