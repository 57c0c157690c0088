import { readMatrixFile, writeMatrixFile } from "../../../prune/matrix-file.js";
import { sharedCopy } from "../../../prune/shared-copy.js";
import type { PruneTask } from "../../messages.js";
import { pruneContextOf } from "./context.js";
import { gather, propagate } from "./forward.js";
import { loadOneLayer } from "./load-layer.js";
import { embed, sample } from "./sample.js";
import { describeSparsifiers } from "./sparsifiers.js";
import { sparsify } from "./sparsify.js";
import { combine, measure } from "./survey.js";

/** One task of a pruning run; results by kind of step are in `prune/tasks.ts`. */
export async function runPruneStep(task: PruneTask): Promise<unknown> {
  const context = await pruneContextOf(task);
  const { step, events, cancel } = task;
  const port = { events, cancel };
  switch (step.step) {
    case "describe":
      return describeSparsifiers(context.plan);
    case "sample":
      return sample(context, step, port);
    case "embed":
      return embed(context, step, port);
    case "load-layer":
      return loadOneLayer(context, step, port);
    case "gather":
      return gather(context, step, port);
    case "merge":
      for (let e = 0; e < step.into.length; e++) step.into[e] += step.part[e];
      return undefined;
    case "measure":
      return measure(context, step);
    case "combine":
      return combine(context, step);
    case "sparsify":
      return sparsify(context, step);
    case "propagate":
      return propagate(context, step, port);
    case "read-matrix":
      return sharedCopy(readMatrixFile(step.file));
    case "write-matrix":
      return writeMatrixFile(step.file, step.weight);
  }
}
