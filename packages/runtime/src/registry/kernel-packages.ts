import type { KernelPackage } from "@winnow/core";
import { WinnowError } from "@winnow/core";
import type { PluginModule } from "../plan/plan.js";
import { importPlugins } from "./load-plugin.js";

/** Kernel packages that ship with the runtime, each loaded when it is asked for. */
const builtIn: Readonly<Record<string, () => Promise<KernelPackage>>> = {
  native: async () => (await import("@winnow/kernels-native")).nativeKernels,
  onnx: async () => (await import("@winnow/kernels-onnx")).onnxKernels,
  reference: async () => (await import("@winnow/kernels-reference")).referenceKernels,
};

export const builtInKernelPackages: readonly string[] = Object.keys(builtIn);

/** A kernel package by id: a built-in one, or a kernel plugin among `plugins`. */
export async function loadKernelPackage(id: string, plugins: readonly PluginModule[] = []): Promise<KernelPackage> {
  if (Object.hasOwn(builtIn, id)) return builtIn[id]();
  const plugin = plugins.find((module) => module.id === id);
  const definition = plugin && (await importPlugins(plugin.url)).find((candidate) => candidate.id === id);
  if (definition?.kind !== "kernel") {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `There is no kernel package "${id}". Use ${builtInKernelPackages.join(", ")} or the id of a kernel plugin.`,
    );
  }
  return (definition as unknown as { create(options: object): KernelPackage }).create({});
}
