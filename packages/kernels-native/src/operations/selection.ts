import type { Primitives } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkInteger } from "../check.js";

export function selectionOperations(kernels: NativeKernels): Pick<Primitives, "topK" | "topKRows" | "prefixMass"> {
  return {
    topK(values, k, start = 0, end) {
      const part = partOf("topK", values, start, end);
      checkInteger("topK", "k", k, 0, part.length);
      const out = new Int32Array(k);
      const ordered = kernels.topKRows({ values: part, rows: 1, columns: part.length, k, out });
      if (!ordered) refuseNaN("topK", part, start);
      return out;
    },

    topKRows(values, rows, columns, k) {
      checkInteger("topKRows", "rows", rows);
      checkInteger("topKRows", "columns", columns);
      checkInteger("topKRows", "k", k, 0, columns);
      checkArray("topKRows", "values", values, Float32Array, rows * columns);
      const out = new Int32Array(rows * k);
      if (!kernels.topKRows({ values, rows, columns, k, out })) refuseNaN("topKRows", values, 0);
      return out;
    },

    prefixMass(values, mass, start = 0, end) {
      const part = partOf("prefixMass", values, start, end);
      check(mass >= 0 && mass <= 1, "prefixMass", "mass", "be in 0..1", mass);
      part.forEach((value, i) => {
        check(
          value >= 0 && value < Infinity,
          "prefixMass",
          `values[${start + i}]`,
          "be finite and not negative",
          value,
        );
      });
      const out = new Int32Array(part.length);
      return out.slice(0, kernels.prefixMass({ values: part, mass, out }));
    },
  };
}

function partOf(operation: string, values: Float32Array, start: number, end: number | undefined): Float32Array {
  checkArray(operation, "values", values, Float32Array);
  checkInteger(operation, "start", start, 0, values.length);
  checkInteger(operation, "end", end ?? values.length, start, values.length);
  return values.subarray(start, end);
}

function refuseNaN(operation: string, values: Float32Array, start: number): void {
  const place = values.findIndex(Number.isNaN);
  check(false, operation, `values[${start + place}]`, "be a number", Number.NaN);
}
