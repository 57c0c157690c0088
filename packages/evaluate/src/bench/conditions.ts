import { availableParallelism, cpus, totalmem } from "node:os";

/** Where numbers were measured; without this they mean nothing. */
export interface MachineConditions {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
}

export interface Conditions extends MachineConditions {
  readonly threads: number;
  /** Instruction set of the native kernels. */
  readonly isa: string;
}

export function conditions(kernels: { readonly threads: number; readonly isa: string }): Conditions {
  return { ...machineConditions(), threads: kernels.threads, isa: kernels.isa };
}

export function machineConditions(): MachineConditions {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
  };
}
