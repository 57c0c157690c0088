import type { FloatDtype } from "@winnow/core";
import { type PackedShape, packedTask } from "../../conformance/packed-data.js";
import type { KernelCase } from "../kernel-compare.js";

/** Rows are written by `packTokens` of the same operations. */
export function packedCases(dtypes: readonly FloatDtype[]): KernelCase[] {
  const base = { queryHeads: 4, kvHeads: 2, packed: 33, rest: 5, keptK: 5, keptV: 12 };
  return dtypes.flatMap((dtype) => {
    const cases = [
      { method: "packTokens", name: `rows of 16, ${dtype}`, shape: { ...base, dtype, headDim: 16 } },
      { method: "packedAttention", name: `rows of 20, ${dtype}`, shape: { ...base, dtype, headDim: 20 } },
      {
        method: "packedAttention",
        name: `one packed token, ${dtype}`,
        shape: { ...base, dtype, headDim: 16, packed: 1 },
      },
    ];
    return cases.map(({ method, name, shape }) => ({ method, name, dtype, call: callOf(method, shape) }));
  });
}

function callOf(method: string, shape: PackedShape): KernelCase["call"] {
  return (operations) => {
    const { task } = packedTask(7, shape, operations.packTokens);
    if (method === "packTokens") return [...task.packedK.bitmap, ...task.packedK.values];
    operations.packedAttention(task);
    return task.out.data;
  };
}
