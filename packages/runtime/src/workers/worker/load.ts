import { type DenseWeight, type FloatDtype, type LinearWeight, WinnowError } from "@winnow/core";
import { createRopeTable, loadTokenizer, loadWeights, openModelFolder, parseModelConfig } from "@winnow/models";
import { sharedFloats } from "../../engine/sequence.js";
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
  const packWeight = plan.kernels.assignment.linear === "onnx" ? unpacked : operations.packWeight.bind(operations);
  const weights = loadWeights(
    folder,
    config,
    { packWeight },
    {
      precision: plan.precision,
      onProgress: ({ tensorsDone, tensors }) => emitProgress(events, tensorsDone / tensors, "load weights"),
      cancel,
    },
  );
  const model = {
    folder: folder.path,
    config,
    weights,
    rope: createRopeTable(config.rope, config.headDim, Math.min(config.contextLength, SHARED_ROPE_ROWS)),
    endOfSequenceIds: tokenizer.eosIds,
  };
  return { model, isa };
}

/** Row-major float32 in shared memory, for kernels that lay weights out themselves. */
function unpacked(weight: DenseWeight, dtype: FloatDtype): LinearWeight {
  if (dtype !== "f32" || weight.dtype !== "f32") {
    throw new WinnowError(
      "ERR_PLAN_CONFLICT",
      `Kernel package "onnx" computes projections in f32, got precision ${dtype}. Set precision: f32.`,
    );
  }
  const data = sharedFloats("f32", weight.data.length);
  data.set(weight.data);
  return { ...weight, data };
}
