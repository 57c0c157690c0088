import type { FloatDtype, KernelPackage, OperationName } from "@winnow/core";
import { operationMethods } from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import { builtInKernelPackages, loadKernelPackage } from "../registry/kernel-packages.js";
import type { PlannedFallback, PlannedKernels, PluginModule } from "./plan.js";

/** What a plan asks of its kernels. */
export interface KernelNeeds {
  readonly precision: FloatDtype;
  /** Mask forms that the planned maskers may return. */
  readonly maskForms: readonly string[];
}

export interface KernelPlan {
  readonly kernels: PlannedKernels;
  readonly fallbacks: readonly PlannedFallback[];
}

/** Which package runs each operation: the forced one, or the first by priority that is available and takes the operands. */
export async function planKernels(
  document: ConfigDocument,
  needs: KernelNeeds,
  plugins: readonly PluginModule[],
): Promise<KernelPlan> {
  const packages = await Promise.all(
    [...builtInKernelPackages, ...plugins.map(({ id }) => id)].map((id) => loadKernelPackage(id, plugins)),
  );
  packages.sort((a, b) => b.priority - a.priority);
  const planner = new KernelPlanner(document, needs, packages);
  const names = Object.keys(operationMethods) as OperationName[];
  const assignment = Object.fromEntries(names.map((name) => [name, planner.assign(name)])) as Record<
    OperationName,
    string
  >;
  return { kernels: { assignment, isa: planner.chooseIsa(assignment) }, fallbacks: planner.fallbacks };
}

class KernelPlanner {
  readonly fallbacks: PlannedFallback[] = [];

  constructor(
    private readonly document: ConfigDocument,
    private readonly needs: KernelNeeds,
    private readonly packages: readonly KernelPackage[],
  ) {}

  assign(operation: OperationName): string {
    const choice = this.document.value.kernels[operation];
    return choice === "auto" ? this.best(operation) : this.forced(operation, choice);
  }

  private best(operation: OperationName): string {
    const reasons: string[] = [];
    for (const candidate of this.packages) {
      const reason = this.obstacle(candidate, operation);
      if (reason === undefined) {
        this.recordFallback(operation, candidate.id);
        return candidate.id;
      }
      reasons.push(`${candidate.id}: ${reason}`);
    }
    throw this.document.fail(
      ["kernels", operation],
      "ERR_KERNEL_UNSUPPORTED",
      `no kernel package can run it (${reasons.join("; ")})`,
    );
  }

  private forced(operation: OperationName, id: string): string {
    const path = ["kernels", operation];
    const candidate = this.packages.find((known) => known.id === id);
    if (!candidate) {
      const known = this.packages.map((entry) => entry.id).join(", ");
      throw this.document.fail(path, "ERR_KERNEL_UNSUPPORTED", `must be auto or one of ${known}, got "${id}"`);
    }
    const reason = this.obstacle(candidate, operation);
    if (reason === undefined) return id;
    const able = this.packages
      .filter((entry) => this.obstacle(entry, operation) === undefined)
      .map((entry) => entry.id);
    throw this.document.fail(path, "ERR_KERNEL_UNSUPPORTED", `cannot be "${id}": ${reason}. Use ${able.join(" or ")}`);
  }

  /** Why a package cannot run an operation, or undefined. */
  private obstacle(candidate: KernelPackage, operation: OperationName): string | undefined {
    const descriptors = candidate.kernels.filter((kernel) => kernel.operation === operation);
    if (descriptors.length === 0) return `it has no ${operation} kernel`;
    const { precision, maskForms } = this.needs;
    const typed = descriptors.filter((kernel) => kernel.dtypes.includes(precision));
    if (typed.length === 0) return `its ${operation} kernels do not take ${precision}`;
    const missing =
      operation === "prefillAttention"
        ? maskForms.find((form) => typed.every((kernel) => !kernel.formats?.includes(form)))
        : undefined;
    if (missing) return `its ${operation} kernels do not take ${missing} masks`;
    const status = candidate.available();
    return status.available ? undefined : status.reason;
  }

  /** The best package that would take the operands is missing on this machine: allowed only if the configuration says so. */
  private recordFallback(operation: OperationName, used: string): void {
    const wanted = this.packages[0];
    const status = wanted.available();
    if (wanted.id === used || status.available) return;
    if (this.document.value.kernels.fallback === "error") {
      throw this.document.fail(
        ["kernels", "fallback"],
        "ERR_KERNEL_UNSUPPORTED",
        `${wanted.id} kernels cannot run here (${status.reason}). Build them, or set kernels.fallback: allow to run ${operation} on ${used}`,
      );
    }
    this.fallbacks.push({ operation, wanted: wanted.id, used, reason: status.reason });
  }

  chooseIsa(assignment: Readonly<Record<OperationName, string>>): string {
    const { isa } = this.document.value.kernels;
    if (isa === "auto") return isa;
    const used = this.packages.filter((candidate) => Object.values(assignment).includes(candidate.id));
    const sets = used.flatMap((candidate) => candidate.instructionSets?.() ?? []);
    if (sets.includes(isa)) return isa;
    const offered =
      sets.length > 0
        ? `these kernels run on ${sets.join(", ")}`
        : "none of the chosen kernel packages has a choice of instruction sets";
    throw this.document.fail(["kernels", "isa"], "ERR_ISA_UNSUPPORTED", `cannot be ${isa} here: ${offered}`);
  }
}
