import { WinnowError } from "@winnow/core";
import { enterCall, leaveCall } from "./plugin-calls.js";

/**
 * Runs plugin code; whatever it throws becomes `ERR_PLUGIN_FAILED` with the plugin's name and the original as cause.
 * In a worker the call is announced to the main thread, which ends a worker whose plugin takes too long.
 */
export function guardPlugin<T>(plugin: string, call: string, work: () => T): T {
  enterCall(plugin, call);
  try {
    return work();
  } catch (error) {
    throw blamed(plugin, call, error);
  } finally {
    leaveCall();
  }
}

/** {@link guardPlugin} for a call that may return a promise: it lasts until that settles. */
export function guardPluginAsync<T>(plugin: string, call: string, work: () => T | Promise<T>): T | Promise<T> {
  const result = guardPlugin(plugin, call, work);
  if (!(result instanceof Promise)) return result;
  enterCall(plugin, call);
  return result
    .catch((error: unknown) => {
      throw blamed(plugin, call, error);
    })
    .finally(leaveCall);
}

function blamed(plugin: string, call: string, error: unknown): WinnowError {
  if (error instanceof WinnowError && (error.code === "ERR_CANCELLED" || error.plugin)) return error;
  const detail = error instanceof Error ? error.message : String(error);
  const code = error instanceof WinnowError && error.code === "ERR_PLUGIN_RESULT" ? error.code : "ERR_PLUGIN_FAILED";
  return new WinnowError(code, `Plugin "${plugin}" failed in ${call}: ${detail}`, { plugin, cause: error });
}
