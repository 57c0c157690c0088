import {
  type KernelInstance,
  type LayerOperations,
  type OperationName,
  operationMethods,
  WinnowError,
} from "@winnow/core";
import { linearWeights, type ModelWeights } from "@winnow/models";
import type { Plan } from "../../plan/plan.js";
import { guardPluginAsync } from "../../registry/guard-plugin.js";
import { builtInKernelPackages, loadKernelPackage } from "../../registry/kernel-packages.js";

async function loadKernels(id: string, plan: Plan): Promise<KernelInstance> {
  const kernels = await loadKernelPackage(id, { modules: plan.plugins, shape: plan.model.shape });
  const load = () => kernels.load({ threads: plan.threads, isa: plan.kernels.isa });
  return builtInKernelPackages.includes(id) ? load() : guardedInstance(id, await guardPluginAsync(id, "load", load));
}

/** Errors of a kernel plugin name it, and its calls are watched like those of other plugins. */
function guardedInstance(id: string, instance: KernelInstance): KernelInstance {
  const { operations, prepareWeight } = instance;
  const guarded = Object.entries(operations).map(([method, run]) => [
    method,
    (...task: unknown[]) =>
      guardPluginAsync(id, method, () => (run as (...task: unknown[]) => unknown).apply(operations, task)),
  ]);
  return {
    isa: instance.isa,
    operations: Object.fromEntries(guarded),
    ...(prepareWeight && {
      prepareWeight: async (weight) =>
        guardPluginAsync(id, "prepareWeight", () => prepareWeight.call(instance, weight)),
    }),
    close: () => instance.close(),
  };
}

export interface PlanKernels {
  readonly operations: LayerOperations;
  /** Instruction set of each loaded package, for the receipt. */
  readonly isa: Readonly<Record<string, string>>;
  /** Work that the first use of a weight would do, done now. */
  prepareWeights(weights: ModelWeights): Promise<void>;
  close(): Promise<void>;
}

/** Loads the kernel packages that a plan assigns and puts one set of operations together from them. */
export async function loadPlanKernels(plan: Plan): Promise<PlanKernels> {
  const instances = new Map<string, KernelInstance>();
  const operations: Record<string, unknown> = {};
  for (const [name, id] of Object.entries(plan.kernels.assignment) as [OperationName, string][]) {
    const instance = instances.get(id) ?? (await loadKernels(id, plan));
    instances.set(id, instance);
    for (const method of operationMethods[name]) {
      const implementation = instance.operations[method];
      if (!implementation)
        throw new WinnowError("ERR_KERNEL_UNSUPPORTED", `Kernel package "${id}" does not implement ${method}.`);
      operations[method] = (implementation as (...args: unknown[]) => unknown).bind(instance.operations);
    }
  }
  return {
    operations: operations as unknown as LayerOperations,
    isa: Object.fromEntries([...instances].map(([id, instance]) => [id, instance.isa])),
    async prepareWeights(weights) {
      const { prepareWeight } = instances.get(plan.kernels.assignment.linear) ?? {};
      if (prepareWeight) for (const weight of linearWeights(weights)) await prepareWeight(weight);
    },
    async close() {
      for (const instance of instances.values()) await instance.close();
    },
  };
}
