/** Operations that run on other kernels than the ones that come first. */
interface Fallback {
  readonly operation: string;
  readonly wanted: string;
  readonly used: string;
  readonly reason: string;
}

/** Fallbacks with one cause. */
export interface FallbackGroup {
  readonly wanted: string;
  readonly reason: string;
  /** Such as "linear on onnx; cache, primitives on reference". */
  readonly replacements: string;
}

/** One entry for each package that is missing: mostly one, however many operations it has. */
export function groupFallbacks(fallbacks: readonly Fallback[]): FallbackGroup[] {
  const wantedIds = [...new Set(fallbacks.map(({ wanted }) => wanted))];
  return wantedIds.map((wanted) => {
    const missing = fallbacks.filter((fallback) => fallback.wanted === wanted);
    return { wanted, reason: missing[0].reason, replacements: replacementsOf(missing) };
  });
}

function replacementsOf(fallbacks: readonly Fallback[]): string {
  const usedIds = [...new Set(fallbacks.map(({ used }) => used))];
  const operationsOn = (id: string) => fallbacks.filter(({ used }) => used === id).map(({ operation }) => operation);
  return usedIds.map((id) => `${operationsOn(id).join(", ")} on ${id}`).join("; ");
}
