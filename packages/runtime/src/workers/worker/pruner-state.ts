import { WinnowError } from "@winnow/core";
import type { PlanPlugins } from "./plugins.js";

/**
 * Throws `ERR_PLUGIN_RESULT` for a pruner state that cannot go on in another worker: one that holds a function or a handle.
 * Checked here, because the message that carries it would end the worker without naming the plugin.
 */
export function checkPrunerStates(pruners: PlanPlugins["pruners"], states: readonly unknown[]): void {
  for (const [index, state] of states.entries()) {
    try {
      structuredClone(state);
    } catch (error) {
      const plugin = pruners[index].planned.kvPruner;
      throw new WinnowError(
        "ERR_PLUGIN_RESULT",
        `Plugin "${plugin}" keeps a state that cannot go to another worker: ${(error as Error).message} Keep plain data and typed arrays in it.`,
        { plugin, cause: error },
      );
    }
  }
}
