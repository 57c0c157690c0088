import { writeFileSync } from "node:fs";

/** Makes the peak that the system reports start again at the present size. Only Linux can; elsewhere nothing happens and the peak is that of the whole process. */
export function resetPeakMemory(): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not allowed in some sandboxes; the peak then covers the process from its start.
  }
}
