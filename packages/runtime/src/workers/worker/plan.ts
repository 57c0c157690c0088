import { ConfigDocument } from "../../config/config.js";
import { makePlan } from "../../plan/make-plan.js";
import { readModelInfo } from "../../plan/model-info.js";
import type { Plan } from "../../plan/plan.js";
import { createEngineContainer, tokens } from "../../registry/container.js";
import type { PlanTask } from "../messages.js";

/** Plans a configuration in this worker, where code of plugins is watched. */
export function plan({ config, allowPlugins, alsoLoad = [] }: PlanTask): Promise<Plan> {
  const document = new ConfigDocument(config.placed, config);
  const registry = createEngineContainer(document, allowPlugins).resolve(tokens.registry);
  return makePlan(document, readModelInfo(document.value.model), registry, { alsoLoad });
}
