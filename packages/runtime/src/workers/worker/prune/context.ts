import type { LayerOperations } from "@winnow/core";
import { checkTensors, type ModelConfig, type ModelFolder, openModelFolder, readModelConfig } from "@winnow/models";
import type { Plan } from "../../../plan/plan.js";
import type { PruneTask } from "../../messages.js";
import { kernelsOf } from "../session.js";

/** What a worker keeps between the tasks of one pruning run. */
export interface PruneContext {
  readonly plan: Plan;
  readonly folder: ModelFolder;
  readonly config: ModelConfig;
  readonly operations: LayerOperations;
}

let context: Promise<PruneContext> | undefined;

export function pruneContextOf({ plan }: PruneTask): Promise<PruneContext> {
  context ??= open(plan);
  return context;
}

async function open(plan: Plan): Promise<PruneContext> {
  const folder = openModelFolder(plan.model.folder);
  const config = readModelConfig(folder);
  checkTensors(folder, config);
  const { operations } = await kernelsOf(plan);
  return { plan, folder, config, operations };
}
