import { WinnowError } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import type { ConfigPath } from "../config/path.js";

/** Adds to errors of `work` that know no place the one in the configuration that asked for it. */
export async function atPlace<T>(document: ConfigDocument, path: ConfigPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WinnowError) || error.location) throw error;
    const { message } = error;
    const placed = document.fail(path, error.code, `${message[0].toLowerCase()}${message.slice(1)}`);
    throw new WinnowError(error.code, placed.message, {
      ...(placed.location && { location: placed.location }),
      ...(error.plugin !== undefined && { plugin: error.plugin }),
      cause: error,
    });
  }
}
