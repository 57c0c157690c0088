import { createRopeTable, loadTokenizer, loadWeights, openModelFolder, parseModelConfig } from "@winnow/models";
import type { LoadResult, LoadTask } from "../messages.js";
import { emitProgress } from "./events.js";
import { kernelsOf } from "./session.js";

/** Rotary tables beyond this many positions are made when a prompt needs them. */
const SHARED_ROPE_ROWS = 65_536;

/** Reads and checks a model folder, laying the weights out for the plan's kernels in shared memory. */
export async function load({ plan, cancel, events }: LoadTask): Promise<LoadResult> {
  const folder = openModelFolder(plan.model.folder);
  const config = parseModelConfig(folder.config);
  const tokenizer = loadTokenizer(folder, config);
  const { operations, isa } = await kernelsOf(plan);
  const weights = loadWeights(folder, config, operations, {
    precision: plan.precision,
    onProgress: ({ tensorsDone, tensors }) => emitProgress(events, tensorsDone / tensors, "load weights"),
    cancel,
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
