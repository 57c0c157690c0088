import { askMissing, createPlugin, nextSteps } from "create-winnow-plugin";
import type { ExitStatus } from "../context.js";
import { print } from "../io.js";

export interface NewOptions {
  readonly folder?: string;
  readonly author?: string;
}

/** `winnow new <kind> <name>`: what `npm create winnow-plugin` does. */
export async function newCommand(
  kind: string | undefined,
  name: string | undefined,
  options: NewOptions,
): Promise<ExitStatus> {
  print(nextSteps(createPlugin({ ...options, ...(await askMissing({ ...options, kind, name })) })));
  return 0;
}
