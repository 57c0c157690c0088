import { createPlan, explainPlan, readConfig } from "@winnow/runtime";
import type { ExitStatus } from "../context.js";
import { print, printJson } from "../io.js";
import { type SharedOptions, setsOf } from "./shared-options.js";

/** `winnow explain CONFIG`: the resolved plan; nothing is loaded but headers and plugin schemas. */
export async function explainCommand(
  file: string,
  options: SharedOptions & { readonly json?: boolean },
): Promise<ExitStatus> {
  const plan = await createPlan(readConfig(file, setsOf(options)));
  if (options.json) printJson(plan);
  else print(explainPlan(plan));
  return 0;
}
