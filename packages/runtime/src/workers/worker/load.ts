import type { DenseWeight, LayerOperations, LinearWeight } from "@winnow/core";
import { createRopeTable, loadTokenizer, loadWeights, openModelFolder, readModelConfig } from "@winnow/models";
import type { Plan } from "../../plan/plan.js";
import { chooseFormat } from "../../prune/choose-format.js";
import type { LoadResult, LoadTask } from "../messages.js";
import { emitProgress } from "./events.js";
import { kernelsOf } from "./session.js";

/** Rotary tables beyond this many positions are made when a prompt needs them. */
const SHARED_ROPE_ROWS = 65_536;

/** Matrices of a layer as `weightFormat` says. `auto` keeps them dense where the kernels take nothing else. */
function packerOf(plan: Plan, { packWeight, encodeWeight }: LayerOperations): (weight: DenseWeight) => LinearWeight {
  const { precision, kernels, weights } = plan;
  // What sparsifiers change is laid out after them; zeros and N:M patterns are not there yet.
  const isBefore = weights.sparsifiers.length > 0 && ["auto", "bitmap", "groups"].includes(weights.format);
  const takesAll = ["bitmap", "groups"].every((format) => kernels.weightFormats.includes(format));
  return (weight) => {
    const isDense = isBefore || (weights.format === "auto" && !takesAll);
    const target = isDense ? undefined : chooseFormat(weight, weights.format, precision);
    if (target === undefined || target.format === "dense-panel16") return packWeight(weight, precision);
    return encodeWeight(weight, target);
  };
}

/** Reads and checks a model folder, laying the weights out for the plan's kernels in shared memory. */
export async function load({ plan, cancel, events }: LoadTask): Promise<LoadResult> {
  const folder = openModelFolder(plan.model.folder);
  const config = readModelConfig(folder);
  const tokenizer = loadTokenizer(folder, config);
  const { operations, isa } = await kernelsOf(plan);
  const weights = loadWeights(folder, config, operations, {
    precision: plan.precision,
    onProgress: ({ tensorsDone, tensors }) => emitProgress(events, tensorsDone / tensors, "load weights"),
    cancel,
    packMatrix: packerOf(plan, operations),
  });
  const model = {
    folder: folder.path,
    config,
    weights,
    rope: createRopeTable(config.rope, config.headDim, Math.min(config.contextLength, SHARED_ROPE_ROWS)),
    endOfSequenceIds: tokenizer.eosIds,
  };
  return { model, isa };
}
