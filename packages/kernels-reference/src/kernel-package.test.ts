import { operationMethods } from "@winnow/core";
import { expect, it } from "vitest";
import { referenceKernels } from "./index.js";

it("referenceKernels loads every operation that it declares, and declares all there are", async () => {
  const { operations } = await referenceKernels.load({ threads: 1, isa: "auto" });
  expect(referenceKernels.kernels.map((kernel) => kernel.operation).sort()).toEqual(
    Object.keys(operationMethods).sort(),
  );
  for (const method of Object.values(operationMethods).flat()) expect(operations[method]).toBeTypeOf("function");
});
