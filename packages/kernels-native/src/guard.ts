import { WinnowError } from "@winnow/core";
import type { NativeKernels } from "./addon.js";

/**
 * The kernels with failures as WinnowErrors: a TypeError of the binding, which checks again what could lead outside of memory (such as the contents
 * of index lists), becomes ERR_OPERATION_ARGUMENT; use after close, ERR_ENGINE_CLOSED.
 */
export function guard(kernels: NativeKernels): NativeKernels {
  let closed = false;
  const guarded: Record<string, unknown> = {
    close: () => {
      closed = true;
      kernels.close();
    },
  };
  for (const name of operationNames(kernels)) {
    const call = kernels[name].bind(kernels) as (fields: object) => unknown;
    guarded[name] = (fields: object) => {
      if (closed)
        throw new WinnowError(
          "ERR_ENGINE_CLOSED",
          `Cannot run ${name}: these native kernels were closed. Load them again.`,
        );
      try {
        return call(fields);
      } catch (cause) {
        throw translated(name, cause);
      }
    };
  }
  return guarded as unknown as NativeKernels;
}

function operationNames(kernels: NativeKernels): Exclude<keyof NativeKernels, "close">[] {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(kernels)) as (keyof NativeKernels | "constructor")[];
  return names.filter((name) => name !== "constructor" && name !== "close");
}

function translated(operation: string, cause: unknown): unknown {
  if (!(cause instanceof TypeError)) return cause;
  return new WinnowError("ERR_OPERATION_ARGUMENT", `Cannot run ${operation}: ${cause.message}.`, { cause });
}
