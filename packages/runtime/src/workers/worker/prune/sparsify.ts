import { type DenseWeight, type LinearWeight, type Operations, WinnowError, weightBytes } from "@winnow/core";
import { nmPatternOf, zeroPattern } from "../../../prune/choose-format.js";
import { writeMatrixFile } from "../../../prune/matrix-file.js";
import { declaredOnly } from "../../../prune/places.js";
import { sharedCopy } from "../../../prune/shared-copy.js";
import type { MatrixReport, SparsifiedMatrix, SparsifyStep } from "../../../prune/tasks.js";
import { guardPlugin } from "../../../registry/guard-plugin.js";
import { pluginOperations } from "../session.js";
import { checkedResult } from "./check-result.js";
import type { PruneContext } from "./context.js";
import { kept } from "./keep.js";
import { sparsifierOf } from "./sparsifiers.js";

type Facts = Record<string, string | number>;

/** One matrix through all its sparsifiers, then into the form in which it is kept. */
export async function sparsify(context: PruneContext, step: SparsifyStep): Promise<SparsifiedMatrix> {
  const started = performance.now();
  const ops = pluginOperations(context.operations);
  const facts: Facts = {};
  let result: LinearWeight = step.original;
  for (const chosen of step.sparsifiers) result = await applySparsifier(context, step, chosen, result, facts);
  const stored = kept(context, ops, step, result);
  const seconds = (performance.now() - started) / 1000;
  const { keep, run } = step;
  if (keep.as !== "memory") writeMatrixFile(keep.file, stored);
  const packed = () =>
    result.format === "dense" ? ops.packWeight(result, context.plan.precision) : sharedCopy(result);
  return {
    ...(keep.as === "memory" && { stored: sharedCopy(stored) }),
    ...(run && { packed: packed() }),
    report: { ...reportOf(step, denseOf(ops, result), stored), seconds, facts },
  };
}

async function applySparsifier(
  { plan, operations }: PruneContext,
  { layer, projection, original, statistics }: SparsifyStep,
  { planned, survey }: SparsifyStep["sparsifiers"][number],
  before: LinearWeight,
  facts: Facts,
): Promise<LinearWeight> {
  const ops = pluginOperations(operations);
  const sparsifier = await sparsifierOf(plan, planned);
  return guardPlugin(planned.sparsifier, `sparsify of layer ${layer} ${projection}`, () => {
    const weight = denseOf(ops, before);
    const result = sparsifier.sparsify({
      layer,
      projection,
      weight,
      original,
      statistics: declaredOnly(statistics, projection, sparsifier.statistics),
      survey,
      dtype: plan.precision,
      operations: ops,
      report: (more) => Object.assign(facts, checkedFacts(more)),
    });
    // Left alone: what came before stays in its own format.
    return result === weight ? before : checkedResult(result, original, ops);
  });
}

/** Facts travel to the caller and into files. */
function checkedFacts(given: Readonly<Record<string, unknown>>): Facts {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "string" || Number.isFinite(value)) continue;
    const problem = `a reported fact must be a text or a finite number, but "${name}" is ${String(value)}`;
    throw new WinnowError("ERR_PLUGIN_RESULT", `${problem}.`);
  }
  return given as Facts;
}

function denseOf(ops: Operations, weight: LinearWeight): DenseWeight {
  return weight.format === "dense" ? weight : ops.decodeWeight(weight);
}

function reportOf(
  { layer, projection, sparsifiers, original }: SparsifyStep,
  values: DenseWeight,
  stored: LinearWeight,
): Omit<MatrixReport, "seconds" | "facts"> {
  const pattern = zeroPattern(values);
  const nm = nmPatternOf(pattern);
  return {
    layer,
    projection,
    sparsifiers: sparsifiers.map(({ planned }) => planned.sparsifier),
    format: stored.format,
    elements: pattern.elements,
    zeros: pattern.zeros,
    pattern: nm ? `${nm.keep}:${nm.of}` : null,
    bytesBefore: weightBytes(original),
    bytesAfter: weightBytes(stored),
  };
}
