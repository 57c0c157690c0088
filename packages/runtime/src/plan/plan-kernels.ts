import {
  type FloatDtype,
  type KernelPackage,
  type LinearFormat,
  type OperationName,
  operationMethods,
  type WinnowError,
} from "@winnow/core";
import type { ConfigDocument } from "../config/config.js";
import { didYouMean } from "../config/nearest.js";
import { builtInKernelPackages, type KernelPlugins, loadKernelPackage } from "../registry/kernel-packages.js";
import type { NotChosenKernel, PlannedFallback, PlannedKernels } from "./plan.js";

/** What a plan asks of its kernels. */
export interface KernelNeeds {
  readonly precision: FloatDtype;
  /** Mask forms that the planned maskers may return. */
  readonly maskForms: readonly string[];
  /** Formats of matrices besides the dense ones, which every package packs as it likes. */
  readonly weightFormats: readonly LinearFormat[];
}

export interface KernelPlan {
  readonly kernels: PlannedKernels;
  readonly fallbacks: readonly PlannedFallback[];
}

/** What `auto` may choose from besides the built-in packages. */
export interface PlanKernelPlugins extends KernelPlugins {
  /** Ids of the plugins that the configuration lists under `plugins`. */
  readonly listed: readonly string[];
}

/**
 * Which package runs each operation: the forced one, or the first by priority that is available and takes the operands.
 * An installed kernel plugin changes nothing by being there: `auto` looks at those that the configuration lists under `plugins`. Priority and operands
 * are known only to a plugin's code: it is loaded if an operation names it, or if it is listed and an operation is left to `auto`.
 */
export async function planKernels(
  document: ConfigDocument,
  needs: KernelNeeds,
  plugins: PlanKernelPlugins,
): Promise<KernelPlan> {
  const names = Object.keys(operationMethods) as OperationName[];
  const choices = names.map((name) => document.value.kernels[name]);
  const pluginIds = plugins.modules.map(({ id }) => id);
  const isAsked = (id: string) => choices.includes(id) || (choices.includes("auto") && plugins.listed.includes(id));
  const loadedIds = pluginIds.filter(isAsked);
  const packages: KernelPackage[] = [];
  // One after another: imports that overlap could not be told apart by who watches them.
  for (const id of [...builtInKernelPackages, ...loadedIds]) packages.push(await loadKernelPackage(id, plugins));
  packages.sort((a, b) => b.priority - a.priority);
  const inAuto = [...builtInKernelPackages, ...plugins.listed];
  const planner = new KernelPlanner(document, needs, packages, [...builtInKernelPackages, ...pluginIds], inAuto);
  const assigned = names.map((name) => [name, planner.assign(name)]);
  const assignment = Object.fromEntries(assigned) as Record<OperationName, string>;
  const linear = packages.find(({ id }) => id === assignment.linear)?.kernels ?? [];
  const weightFormats = linear.flatMap(({ operation, formats = [] }) => (operation === "linear" ? formats : []));
  const notChosen = names.flatMap((name) => planner.notChosen(name, assignment[name]));
  const kernels = { assignment, isa: planner.chooseIsa(assignment), weightFormats, notChosen };
  return { kernels, fallbacks: planner.fallbacks };
}

class KernelPlanner {
  readonly fallbacks: PlannedFallback[] = [];

  constructor(
    private readonly document: ConfigDocument,
    private readonly needs: KernelNeeds,
    private readonly packages: readonly KernelPackage[],
    private readonly knownIds: readonly string[],
    private readonly inAuto: readonly string[],
  ) {}

  assign(operation: OperationName): string {
    const choice = this.document.value.kernels[operation];
    return choice === "auto" ? this.best(operation) : this.forced(operation, choice);
  }

  private best(operation: OperationName): string {
    const candidates = this.packages.filter(({ id }) => this.inAuto.includes(id));
    const fitting = candidates.filter((candidate) => this.mismatch(candidate, operation) === undefined);
    const used = fitting.find((candidate) => unavailable(candidate) === undefined);
    if (used) {
      this.recordFallback(operation, fitting[0], used);
      return used.id;
    }
    const reasons = candidates.map((candidate) => `${candidate.id}: ${this.obstacle(candidate, operation)}`);
    throw this.fail(operation, `no kernel package can run it (${reasons.join("; ")})`);
  }

  private forced(operation: OperationName, id: string): string {
    const candidate = this.packages.find((known) => known.id === id);
    if (!candidate) {
      const help = didYouMean(id, this.knownIds);
      throw this.fail(operation, `must be auto or one of ${this.knownIds.join(", ")}, got "${id}". ${help}`.trimEnd());
    }
    const reason = this.obstacle(candidate, operation);
    if (reason === undefined) return id;
    const able = this.packages.filter((entry) => this.obstacle(entry, operation) === undefined);
    throw this.fail(operation, `cannot be "${id}": ${reason}. Use ${able.map((entry) => entry.id).join(" or ")}`);
  }

  /** Packages that have kernels for an operation and do not run it, with the reason. */
  notChosen(operation: OperationName, chosen: string): NotChosenKernel[] {
    const { priority } = this.packages.find(({ id }) => id === chosen)!;
    const isForced = this.document.value.kernels[operation] !== "auto";
    const reasonOf = (candidate: KernelPackage) => {
      const obstacle = this.obstacle(candidate, operation);
      if (obstacle !== undefined) return obstacle;
      if (isForced) return `kernels.${operation} names ${chosen}`;
      if (!this.inAuto.includes(candidate.id)) return "it is not listed under plugins";
      return `its priority of ${candidate.priority} is not above ${chosen}'s ${priority}`;
    };
    return this.packages
      .filter(({ id, kernels }) => id !== chosen && kernels.some((kernel) => kernel.operation === operation))
      .map((candidate) => ({ operation, id: candidate.id, reason: reasonOf(candidate) }));
  }

  /** Why a package cannot run an operation here, or undefined. */
  private obstacle(candidate: KernelPackage, operation: OperationName): string | undefined {
    return this.mismatch(candidate, operation) ?? unavailable(candidate);
  }

  /** Why no kernel of a package takes the plan's operands, on whatever machine, or undefined. */
  private mismatch(candidate: KernelPackage, operation: OperationName): string | undefined {
    const descriptors = candidate.kernels.filter((kernel) => kernel.operation === operation);
    if (descriptors.length === 0) return `it has no ${operation} kernel`;
    // Pruning computes in float32 whatever the precision of the forward pass.
    const precision = operation === "linearAlgebra" ? "f32" : this.needs.precision;
    const typed = descriptors.filter((kernel) => kernel.dtypes.includes(precision));
    if (typed.length === 0) return `its ${operation} kernels do not take ${precision}`;
    const [formats, what] = this.operands(operation);
    const missing = formats.find((format) => typed.every((kernel) => !kernel.formats?.includes(format)));
    return missing === undefined ? undefined : `its ${operation} kernels do not take ${missing} ${what}`;
  }

  private operands(operation: OperationName): [formats: readonly string[], what: string] {
    if (operation === "prefillAttention") return [this.needs.maskForms, "masks"];
    return [operation === "linear" ? this.needs.weightFormats : [], "weights"];
  }

  /** A package that comes first and takes the operands is missing on this machine: only if the configuration allows another in its place. */
  private recordFallback(operation: OperationName, wanted: KernelPackage, used: KernelPackage): void {
    const reason = unavailable(wanted);
    if (reason === undefined) return;
    if (this.document.value.kernels.fallback === "error") {
      throw this.document.fail(
        ["kernels", "fallback"],
        "ERR_KERNEL_UNSUPPORTED",
        `${wanted.id} kernels cannot run here (${reason}). Build or install them, or set kernels.fallback: allow to run ${operation} on ${used.id}`,
      );
    }
    this.fallbacks.push({ operation, wanted: wanted.id, used: used.id, reason });
  }

  private fail(operation: OperationName, problem: string): WinnowError {
    return this.document.fail(["kernels", operation], "ERR_KERNEL_UNSUPPORTED", problem);
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

/** Why a package cannot run on this machine, or undefined. */
function unavailable(candidate: KernelPackage): string | undefined {
  const status = candidate.available();
  return status.available ? undefined : status.reason;
}
