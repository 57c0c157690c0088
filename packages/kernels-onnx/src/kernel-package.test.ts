import type { GatedRowsWeight } from "@winnow/core";
import { describeOperations } from "@winnow/testkit";
import { expect, it } from "vitest";
import { onnxKernels } from "./kernel-package.js";

describeOperations("onnx", () => onnxKernels.load({ threads: 2, isa: "auto" }), ["linear"], ["dense"]);

it("onnx neither encodes weights nor selects: both say so", async () => {
  const { operations, close } = await onnxKernels.load({ threads: 1, isa: "auto" });
  const dense = { format: "dense", dtype: "f32", outFeatures: 1, inFeatures: 1, data: Float32Array.of(1) } as const;
  const unsupported = expect.objectContaining({ code: "ERR_KERNEL_UNSUPPORTED" });
  expect(() => operations.encodeWeight?.(dense, { format: "bitmap", dtype: "bf16" })).toThrow(unsupported);
  const one = new Float32Array(1);
  const rows: GatedRowsWeight = { ...dense, format: "gated-rows", selection: { rule: "largest", keep: 1 } };
  expect(() => operations.gatedLinear?.(one, one, rows, "relu", one)).toThrow(unsupported);
  await close();
});

it("onnx decodes what it packed, and counts all bytes of a weight for any number of rows but none", async () => {
  const { operations, close } = await onnxKernels.load({ threads: 1, isa: "auto" });
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const dense = { format: "dense", dtype: "f32", outFeatures: 2, inFeatures: 3, data } as const;
  const packed = operations.packWeight!(dense, "bf16");
  expect(operations.decodeWeight!(packed)).toEqual(packed);
  expect(await operations.linear!(new Float32Array(3), 1, packed, new Float32Array(2))).toBe(12);
  expect(await operations.linear!(new Float32Array(0), 0, packed, new Float32Array(0))).toBe(0);
  await close();
});
