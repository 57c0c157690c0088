import {
  type KernelDescriptor,
  type KernelPackage,
  type LayerOperations,
  type OperationName,
  operationMethods,
} from "@winnow/core";
import { attempt, attemptAsync, type ConformanceCheck, requireThat } from "./check.js";
import { compareOperation } from "./kernel-compare.js";
import type { Maker } from "./make.js";

const operationNames = Object.keys(operationMethods) as OperationName[];

/** Rules for a set of kernels: what it declares, and every declared operation against the reference kernels. */
export function kernelChecks(maker: Maker): ConformanceCheck[] {
  const kernel = "kernel.ts: KernelPackage";
  return [
    {
      id: "package",
      title: "the package has the plugin's id, a priority and kernels",
      clause: kernel,
      run: async () => checkPackage(maker),
    },
    {
      id: "available",
      title: "available says whether it can run, and why not",
      clause: "kernel.ts: KernelPackage.available",
      run: async () => checkAvailable(maker),
    },
    {
      id: "methods",
      title: "load gives every method of the declared operations",
      clause: "kernel.ts: operationMethods",
      run: () => checkMethods(maker),
    },
    ...operationNames.map((name) => ({
      id: `operation-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      title: `${name} computes what the reference kernels compute, if it is declared`,
      clause: "operations.ts: Operations",
      run: () => checkOperation(maker, name),
    })),
  ];
}

function packageOf(maker: Maker): KernelPackage {
  return maker.create() as KernelPackage;
}

function checkPackage(maker: Maker): undefined {
  const { id, priority, kernels } = packageOf(maker);
  requireThat(id === maker.definition.id, `the id "${maker.definition.id}", which the plan names`, `"${id}"`);
  requireThat(Number.isFinite(priority), "a number as priority", `${priority}`);
  requireThat(Array.isArray(kernels) && kernels.length > 0, "a list of kernels", String(kernels));
  for (const { operation, dtypes } of kernels) {
    requireThat(operationNames.includes(operation), `an operation of ${operationNames.join(", ")}`, `"${operation}"`);
    const known =
      Array.isArray(dtypes) && dtypes.length > 0 && dtypes.every((type) => type === "f32" || type === "bf16");
    requireThat(known, `f32 or bf16 as dtypes of ${operation}`, String(dtypes));
  }
}

function checkAvailable(maker: Maker): string | undefined {
  const status = attempt("available to answer", () => packageOf(maker).available());
  const { available } = status ?? {};
  requireThat(
    typeof available === "boolean",
    "{ available: true } or { available: false, reason }",
    JSON.stringify(status),
  );
  if (status.available) return undefined;
  requireThat(typeof status.reason === "string" && status.reason !== "", "a reason", String(status.reason));
  return `not available here: ${status.reason}`;
}

/** Loads the kernels for one check; undefined where they cannot run. */
async function withOperations(
  maker: Maker,
  work: (operations: Partial<LayerOperations>, kernels: readonly KernelDescriptor[]) => Promise<void> | void,
): Promise<string | undefined> {
  const kernels = packageOf(maker);
  const status = kernels.available();
  if (!status.available) return `not tried: ${status.reason}`;
  const instance = await attemptAsync("load to work", () => kernels.load({ threads: 2, isa: "auto" }));
  try {
    requireThat(typeof instance.isa === "string", "the instance to name its isa", typeof instance.isa);
    await work(instance.operations, kernels.kernels);
  } finally {
    await instance.close();
  }
  return undefined;
}

function checkMethods(maker: Maker): Promise<string | undefined> {
  return withOperations(maker, (operations, kernels) => {
    for (const { operation } of kernels)
      for (const method of operationMethods[operation])
        requireThat(
          typeof operations[method] === "function",
          `a method ${method} for ${operation}`,
          typeof operations[method],
        );
  });
}

async function checkOperation(maker: Maker, name: OperationName): Promise<string | undefined> {
  if (!packageOf(maker).kernels.some(({ operation }) => operation === name)) return "not declared";
  return withOperations(maker, async (operations, kernels) => {
    for (const descriptor of kernels)
      if (descriptor.operation === name) await compareOperation(operations as LayerOperations, descriptor);
  });
}
