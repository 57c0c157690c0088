import { type TuneContext, type TuneResult, type Tuner, WinnowError } from "@winnow/core";
import { copyPlainData } from "../../config/plain-data.js";
import { validatePluginOptions } from "../../config/validate.js";
import { generationSchema } from "../../engine/generation-options.js";
import { guardPluginAsync } from "../../registry/guard-plugin.js";
import type { TuneTask } from "../messages.js";
import { emitProgress } from "./events.js";
import { observeDecode, observePrefill } from "./observe.js";
import { pluginOperations, type Session } from "./session.js";
import { tuneWeights } from "./tune-weights.js";

/** Runs a plugin's offline search on dense passes of the model. Errors: `ERR_OPTION_*` for its settings, `ERR_PLUGIN_*`, `ERR_CANCELLED`. */
export async function tune(session: Session, task: TuneTask): Promise<TuneResult> {
  const definition = session.plugins.definitions.get(task.plugin);
  if (!definition?.tune) throw new WinnowError("ERR_PLUGIN_INVALID", `Plugin "${task.plugin}" has nothing to tune.`);
  const tuner = await guardPluginAsync(task.plugin, "tuner", async () => checkedTuner(await definition.tune!()));
  const { value, place } = copyPlainData(task.options);
  const options = validatePluginOptions(tuner.options, value, { root: place, path: [], plugin: task.plugin });
  const context: TuneContext = {
    model: session.plan.model.shape,
    scale: session.scale,
    operations: pluginOperations(session.operations),
    prompts: task.prompts,
    prefill: (prompt, visit) => observePrefill(session, task, prompt, visit),
    decode: (prompt, steps, visit) =>
      observeDecode(session, task, prompt, generationSchema.parse({ maxNewTokens: steps + 1, dense: true }), visit),
    weights: tuneWeights(session, task),
    progress: (share, label) => emitProgress(task.events, share, label),
  };
  return guardPluginAsync(task.plugin, "tune", async () => checkedResult(await tuner.run(context, options)));
}

function checkedTuner(tuner: Tuner): Tuner {
  if (typeof tuner?.run === "function" && typeof tuner.options?.safeParse === "function") return tuner;
  throw new WinnowError("ERR_PLUGIN_RESULT", "tune must return a search with options and a method run.");
}

/** Plain data, so that it can go to the caller. */
function checkedResult(result: TuneResult): TuneResult {
  const { options, files, report } = result ?? {};
  if (typeof options === "object" && options !== null && Array.isArray(files) && Array.isArray(report))
    return structuredClone({ options, files, report });
  throw new WinnowError("ERR_PLUGIN_RESULT", "a search must return { options, files, report }.");
}
