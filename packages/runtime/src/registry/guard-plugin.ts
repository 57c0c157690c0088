import { WinnowError } from "@winnow/core";

/** Runs plugin code; whatever it throws becomes `ERR_PLUGIN_FAILED` with the plugin's name and the original as cause. */
export function guardPlugin<T>(plugin: string, call: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WinnowError && (error.code === "ERR_CANCELLED" || error.plugin)) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    const code = error instanceof WinnowError && error.code === "ERR_PLUGIN_RESULT" ? error.code : "ERR_PLUGIN_FAILED";
    throw new WinnowError(code, `Plugin "${plugin}" failed in ${call}: ${detail}`, { plugin, cause: error });
  }
}
