import { setPriority } from "node:os";

/** Enough for the caller's event loop to be served first; without other work it costs nothing. */
const NICENESS = 5;

/**
 * Lets the threads that compute step back behind the caller's event loop. On Linux a priority belongs to a thread, and threads started later
 * (those of the kernels) inherit it; elsewhere it would be that of the whole process, so nothing is done.
 */
export function lowerThreadPriority(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(NICENESS);
  } catch {
    // Not allowed in some sandboxes: the event loop then competes on equal terms.
  }
}
