import type { AttentionOperations, HeadTensor, KeptElements, PackedAttention, PackedRows } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkData, checkHeads, checkInteger, checkOverlap } from "../check.js";
import { checkOperands } from "./attention.js";

export function packedOperations(kernels: NativeKernels): Pick<AttentionOperations, "packTokens" | "packedAttention"> {
  return {
    packTokens(source, elements, target, start) {
      checkPackTokens(source, elements, target, start);
      kernels.packTokens({ source, indices: elements.indices, target, start });
    },

    packedAttention(task) {
      checkTask(task);
      const { q, packedK, packedV, k, v, out, scale, logSumExp } = task;
      const operands = { q, packedK, packedV, k, v, out, scale, logSumExp };
      const { cellsComputed, bytesRead } = kernels.packedAttention(operands);
      return { cellsComputed, bytesRead };
    },
  };
}

function checkPackTokens(source: HeadTensor, elements: KeptElements, target: PackedRows, start: number): void {
  const operation = "packTokens";
  checkHeads(operation, "source", source);
  const { dtype, heads, headDim, length } = source;
  check(typeof elements === "object" && elements !== null, operation, "elements", "be KeptElements", elements);
  checkInteger(operation, "elements.kept", elements.kept, 1, headDim);
  checkArray(operation, "elements.indices", elements.indices, Uint16Array, heads * length * elements.kept);
  checkPacked(operation, "target", target, { dtype, heads, headDim, kept: elements.kept });
  checkInteger(operation, "start", start);
  check(
    start + length <= target.capacity,
    operation,
    "start",
    `leave room for ${length} tokens of ${target.capacity}`,
    start,
  );
  checkOverlap(operation, "target.values", valuesView(target), source);
}

function checkTask(task: PackedAttention): void {
  const operation = "packedAttention";
  const { q, packedK, packedV, k, logSumExp } = task;
  checkOperands(operation, task);
  check(q.length === 1, operation, "q.length", "be 1", q.length);
  const wanted = { dtype: k.dtype, heads: k.heads, headDim: k.headDim };
  checkPacked(operation, "packedK", packedK, wanted);
  check(packedK.length > 0, operation, "packedK.length", "be at least 1", packedK.length);
  checkPacked(operation, "packedV", packedV, { ...wanted, length: packedK.length });
  if (logSumExp) checkArray(operation, "logSumExp", logSumExp, Float32Array, q.heads);
}

/** Sizes only: whether each row has as many bits as it keeps is seen where it is read. */
function checkPacked(operation: string, argument: string, x: PackedRows, wanted: Partial<PackedRows>): void {
  check(typeof x === "object" && x !== null, operation, argument, "be PackedRows", x);
  const { dtype, heads, length, capacity, headDim, kept, bitmap, values } = x;
  checkInteger(operation, `${argument}.heads`, heads, 1);
  checkInteger(operation, `${argument}.headDim`, headDim, 1);
  checkInteger(operation, `${argument}.capacity`, capacity);
  checkInteger(operation, `${argument}.length`, length, 0, capacity);
  checkInteger(operation, `${argument}.kept`, kept, 1, headDim);
  checkArray(operation, `${argument}.bitmap`, bitmap, Uint8Array, heads * capacity * Math.ceil(headDim / 8));
  checkData(operation, argument, { dtype, data: values }, heads * capacity * kept, "values");
  for (const field in wanted) {
    const [expected, given] = [wanted[field as keyof PackedRows], x[field as keyof PackedRows]];
    if (given !== expected) check(false, operation, `${argument}.${field}`, `be ${expected}`, given);
  }
}

function valuesView({ dtype, heads, capacity, kept, values }: PackedRows): HeadTensor {
  const strides = { headStride: capacity * kept, tokenStride: kept };
  return { dtype, data: values, offset: 0, heads, length: capacity, headDim: kept, ...strides };
}
