import { WinnowError } from "@winnow/core";

/** Throws `ERR_CANCELLED` once the caller has set the flag. */
export function throwIfCancelled(cancel: Int32Array): void {
  if (Atomics.load(cancel, 0) !== 0) throw new WinnowError("ERR_CANCELLED", "Stopped: the caller asked to cancel.");
}
