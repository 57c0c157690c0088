import {
  type KernelDescriptor,
  type KernelPackage,
  type LayerOperations,
  type OperationName,
  operationMethods,
} from "@winnow/core";
import { attempt, attemptAsync, type ConformanceCheck, ConformanceError, messageOf, requireThat } from "./check.js";
import { compareOperation } from "./kernel-compare.js";
import type { Maker } from "./make.js";
import { optionVariants } from "./option-variants.js";
import { smallModel } from "./subject.js";

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
    {
      id: "option-values",
      title: "all operations keep to the reference kernels under every value and range end of an option",
      clause: "plugin.ts: PluginDefinition.options",
      run: () => checkOptions(maker),
    },
  ];
}

function packageOf(maker: Maker, options?: Record<string, unknown>): KernelPackage {
  return maker.create(options) as KernelPackage;
}

function checkPackage(maker: Maker, { id, priority, kernels } = packageOf(maker)): undefined {
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
  kernels: KernelPackage,
  work: (operations: Partial<LayerOperations>, kernels: readonly KernelDescriptor[]) => Promise<void> | void,
): Promise<string | undefined> {
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
  return withOperations(packageOf(maker), (operations, kernels) => {
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
  const kernels = packageOf(maker);
  if (!kernels.kernels.some(({ operation }) => operation === name)) return "not declared";
  return compareOperations(kernels, (operation) => operation === name);
}

function compareOperations(kernels: KernelPackage, isChosen: (name: OperationName) => boolean) {
  return withOperations(kernels, async (operations, descriptors) => {
    for (const descriptor of descriptors)
      if (isChosen(descriptor.operation)) await compareOperation(operations as LayerOperations, descriptor);
  });
}

async function checkOptions(maker: Maker): Promise<string | undefined> {
  const tried: string[] = [];
  for (const { name, value, options } of optionVariants(maker)) {
    const what = `${name}: ${JSON.stringify(value)}`;
    if (maker.definition.check?.(options, smallModel).length) continue;
    try {
      const kernels = packageOf(maker, options);
      checkPackage(maker, kernels);
      const note = await compareOperations(kernels, () => true);
      tried.push(note ? `${what} (${note})` : what);
    } catch (error) {
      throw new ConformanceError(
        `kernels that keep the contract with ${what}`,
        `the error "${messageOf(error)}"`,
        error,
      );
    }
  }
  return tried.length > 0 ? `with ${tried.join(", ")}` : "no option has an enum, a boolean or a range";
}
