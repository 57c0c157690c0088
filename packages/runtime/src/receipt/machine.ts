import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, totalmem } from "node:os";

export interface MachineInfo {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
}

export interface VersionInfo {
  readonly winnow: string;
  readonly node: string;
}

export function machineInfo(): MachineInfo {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform}-${process.arch}`,
  };
}

export function versionInfo(): VersionInfo {
  const manifest = createRequire(import.meta.url)("../../package.json") as { version: string };
  return { winnow: manifest.version, node: process.version };
}

/** Peak resident memory of this process in bytes, since `resetPeakMemory` where the system can forget a peak (Linux), else since the start. */
export function peakMemory(): number {
  const status = readStatus();
  const peak = status?.match(/^VmHWM:\s+(\d+) kB$/m);
  return peak ? Number(peak[1]) * 1024 : process.resourceUsage().maxRSS * 1024;
}

function readStatus(): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return undefined;
  }
}
