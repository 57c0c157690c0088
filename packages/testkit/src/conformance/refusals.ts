import type { ErrorCode, LayerOperations } from "@winnow/core";
import { expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";

/** What is wrong, and a call that makes this mistake. */
export type Mistake = [what: string, call: (operations: LayerOperations) => unknown];

/** One test per mistake: the call must fail with `code`, whether it throws or rejects. */
export function refuses(
  operations: LoadedOperations,
  mistakes: readonly Mistake[],
  code: ErrorCode = "ERR_OPERATION_ARGUMENT",
): void {
  it.each(mistakes)("%s is refused", async (_, call) => {
    await expect((async () => call(operations()))()).rejects.toMatchObject({ name: "WinnowError", code });
  });
}
