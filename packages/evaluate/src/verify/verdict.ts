/** What became of one fixture. `not run`: nothing installed claims to reproduce it. `error`: it could not be run. */
export type Verdict = "pass" | "differ" | "not run" | "error";

export interface FixtureReport {
  /** Path relative to the verified folder. */
  readonly fixture: string;
  readonly verdict: Verdict;
  /** What was compared, e.g. tensor names; for `not run` and `error`, why. */
  readonly compared: string;
  /** Largest absolute difference of any compared element; null where nothing was. */
  readonly worst: number | null;
  /** The first difference, readable. */
  readonly detail?: string;
}

export interface VerifyReport {
  readonly folder: string;
  readonly kernels: string;
  readonly fixtures: readonly FixtureReport[];
}

/** 0: nothing differs; 1: a fixture differs; 2: a fixture could not be run, or there was none. */
export function exitStatus(report: VerifyReport): 0 | 1 | 2 {
  const verdicts = new Set(report.fixtures.map((fixture) => fixture.verdict));
  if (verdicts.has("error") || verdicts.size === 0) return 2;
  return verdicts.has("differ") ? 1 : 0;
}
