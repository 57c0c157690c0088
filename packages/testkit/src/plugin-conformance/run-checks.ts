import { type ConformanceCheck, ConformanceError } from "./check.js";

export interface CheckResult {
  readonly id: string;
  readonly title: string;
  readonly clause: string;
  readonly verdict: "pass" | "fail";
  /** What was expected and what came, or what was measured. */
  readonly detail?: string;
}

/** Runs checks one after the other. Errors that are not about a rule are bugs of a plugin too: they fail the check, with the place they came from. */
export async function runChecks(
  checks: readonly ConformanceCheck[],
  onCheck?: (check: ConformanceCheck, index: number) => void,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const [index, check] of checks.entries()) {
    onCheck?.(check, index);
    results.push(await runCheck(check));
  }
  return results;
}

async function runCheck(check: ConformanceCheck): Promise<CheckResult> {
  const { id, title, clause } = check;
  try {
    const note = await check.run();
    return { id, title, clause, verdict: "pass", ...(note && { detail: note }) };
  } catch (error) {
    const detail = error instanceof ConformanceError ? error.message : String((error as Error)?.stack ?? error);
    return { id, title, clause, verdict: "fail", detail };
  }
}
