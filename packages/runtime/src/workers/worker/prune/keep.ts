import { type DenseWeight, type LinearWeight, type Operations, WinnowError } from "@winnow/core";
import type { ModelConfig } from "@winnow/models";
import { biasPlaceProblem, holdsBias } from "../../../prune/bias-places.js";
import { chooseFormat } from "../../../prune/choose-format.js";
import type { SparsifyStep } from "../../../prune/tasks.js";
import { inType } from "./check-result.js";
import type { PruneContext } from "./context.js";

/** The result of a matrix in the form in which it is kept. Errors: `ERR_WEIGHT_FORMAT` where it has no such form. */
export function kept(
  { plan, config }: PruneContext,
  ops: Operations,
  step: SparsifyStep,
  result: LinearWeight,
): LinearWeight {
  const { keep, original } = step;
  if (keep.as === "plain") {
    checkBias(config, step, result);
    return plain(step, result, ops);
  }
  // Formats that a sparsifier chose stay as they are.
  if (result.format !== "dense") return result;
  try {
    const target = chooseFormat(result, keep.format, plan.precision);
    if (target.format !== "dense-panel16") return ops.encodeWeight(result, target);
    return keep.as === "memory" ? ops.packWeight(result, target.dtype) : inType(result, original);
  } catch (error) {
    throw error instanceof WinnowError ? failure(step, error.code, error.message, error) : error;
  }
}

function plain(step: SparsifyStep, result: LinearWeight, ops: Operations): DenseWeight {
  if (result.format === "channels" || result.format === "gated-rows") {
    const problem = `${namesOf(step)} made format ${result.format}, which chooses while it runs and has no plain form. Set form: sparse, or run it without a prune step.`;
    throw failure(step, "ERR_WEIGHT_FORMAT", problem);
  }
  return inType(result.format === "dense" ? result : ops.decodeWeight(result), step.original);
}

/** For sparsifiers that did not declare that they bring biases. */
function checkBias(config: ModelConfig, step: SparsifyStep, { bias }: LinearWeight): void {
  if (bias && !holdsBias(config, step))
    throw failure(step, "ERR_WEIGHT_FORMAT", biasPlaceProblem(config, namesOf(step)));
}

function namesOf({ sparsifiers }: SparsifyStep): string {
  return sparsifiers.map(({ planned }) => planned.sparsifier).join(", ");
}

function failure(
  { layer, projection }: SparsifyStep,
  code: WinnowError["code"],
  problem: string,
  cause?: unknown,
): WinnowError {
  return new WinnowError(code, `Layer ${layer}, ${projection}: ${problem}`, { cause });
}
