import type { KernelDescriptor, KernelPackage, ModelShape, PluginDefinition } from "@winnow/core";
import { WinnowError } from "@winnow/core";
import { didYouMean } from "../config/nearest.js";
import type { PluginModule } from "../plan/plan.js";
import { deepFreeze } from "./deep-freeze.js";
import { guardPlugin } from "./guard-plugin.js";
import { importPlugins } from "./load-plugin.js";

/** Kernel packages that ship with the runtime, each loaded when it is asked for. */
const builtIn: Readonly<Record<string, () => Promise<KernelPackage>>> = {
  native: async () => (await import("@winnow/kernels-native")).nativeKernels,
  onnx: async () => (await import("@winnow/kernels-onnx")).onnxKernels,
  reference: async () => (await import("@winnow/kernels-reference")).referenceKernels,
};

export const builtInKernelPackages: readonly string[] = Object.keys(builtIn);

/** Kernel plugins that may be loaded besides the built-in packages, and the model that they are made for. */
export interface KernelPlugins {
  readonly modules: readonly PluginModule[];
  readonly shape: ModelShape;
}

/**
 * A kernel package by id: a built-in one, or a kernel plugin, made with the defaults of its options.
 * Errors: `ERR_KERNEL_UNSUPPORTED` for an unknown id, `ERR_PLUGIN_*` for a plugin that does not keep the contract.
 */
export async function loadKernelPackage(id: string, plugins?: KernelPlugins): Promise<KernelPackage> {
  if (Object.hasOwn(builtIn, id)) return builtIn[id]();
  const module = plugins?.modules.find((candidate) => candidate.id === id);
  if (!plugins || !module) {
    const known = [...builtInKernelPackages, ...(plugins?.modules ?? []).map((candidate) => candidate.id)];
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `There is no kernel package "${id}". ${didYouMean(id, known)}Use ${known.join(", ")}, or install a kernel plugin.`,
    );
  }
  return makeKernels(module, await kernelDefinition(module), plugins.shape);
}

async function kernelDefinition({ id, url }: PluginModule): Promise<PluginDefinition<"kernel">> {
  const definition = (await importPlugins(url, id)).find((candidate) => candidate.id === id);
  if (definition?.kind === "kernel") return definition as PluginDefinition<"kernel">;
  throw new WinnowError(
    "ERR_PLUGIN_INVALID",
    `Plugin "${id}" is declared as a kernel plugin, its module "${url}" exports ${definition ? `a ${definition.kind}` : "no such plugin"}. Correct its package.json.`,
    { plugin: id },
  );
}

function makeKernels({ id }: PluginModule, definition: PluginDefinition<"kernel">, shape: ModelShape): KernelPackage {
  const options = guardPlugin(id, "options", () => definition.options.parse({}));
  return guardPlugin(id, "create", () => guarded(id, definition.create(deepFreeze(options), shape)));
}

/** The same package as a copy of its plain data and with guarded methods: what it declares is read once, and cannot change later. */
function guarded(id: string, made: KernelPackage): KernelPackage {
  if (made?.id !== id || !Array.isArray(made.kernels)) {
    const got = JSON.stringify(made?.id) ?? "none";
    throw resultError(`it must create a kernel package of the same id, got ${got}. Correct its create function`);
  }
  const { priority } = made;
  if (!Number.isFinite(priority)) throw resultError(`its priority must be a number, got ${String(priority)}`);
  return {
    id,
    priority,
    kernels: made.kernels.map(descriptorOf),
    available: () => guardPlugin(id, "available", () => availability(made.available())),
    instructionSets: () => guardPlugin(id, "instructionSets", () => [...(made.instructionSets?.() ?? [])].map(String)),
    load: (settings) => made.load(settings),
  };
}

function descriptorOf(kernel: KernelDescriptor): KernelDescriptor {
  const { operation, dtypes, formats } = kernel ?? {};
  if (typeof operation !== "string" || !Array.isArray(dtypes))
    throw resultError("each of its kernels must have an operation and a list of dtypes");
  return { operation, dtypes: [...dtypes], ...(formats && { formats: [...formats] }) };
}

function availability(status: ReturnType<KernelPackage["available"]>): ReturnType<KernelPackage["available"]> {
  if (status?.available === true) return { available: true };
  if (status?.available === false) return { available: false, reason: String(status.reason) };
  throw resultError(`it must return { available: true } or { available: false, reason }, got ${typeof status}`);
}

function resultError(problem: string): WinnowError {
  return new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`);
}
