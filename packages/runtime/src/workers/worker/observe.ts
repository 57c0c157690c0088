import type { AttentionInputs } from "@winnow/core";
import { argmax } from "@winnow/models";
import type { GenerationOptions } from "../../engine/generation-options.js";
import type { DecodeTask, PrefillTask, TuneTask } from "../messages.js";
import { DecodeRun } from "./decode-run.js";
import { type LayerVisitor, prefill } from "./prefill.js";
import type { Session } from "./session.js";
import { noText } from "./text-stream.js";

/** Dense prefill with a visitor; for searches. */
export async function observePrefill(
  session: Session,
  task: TuneTask,
  prompt: Int32Array,
  visit: LayerVisitor,
): Promise<void> {
  await prefill(session, prefillTask(task, prompt, 0), visit);
}

/** Dense prefill, then `maxNewTokens - 1` greedy steps with a visitor. */
export async function observeDecode(
  session: Session,
  task: TuneTask,
  prompt: Int32Array,
  options: GenerationOptions,
  visit: (step: number, layer: number, inputs: AttentionInputs) => void,
): Promise<void> {
  const { sequence } = await prefill(session, prefillTask(task, prompt, options.maxNewTokens));
  const decodeTask: DecodeTask = {
    ...prefillTask(task, prompt, 0),
    type: "decode",
    sequence,
    stream: { seen: new Set(), generated: 0, text: noText },
    options,
    sliceMilliseconds: Number.POSITIVE_INFINITY,
  };
  let step = 0;
  const run = new DecodeRun(session, decodeTask, (layer, inputs) => visit(step, layer, inputs));
  let logits = sequence.logits;
  for (; step < options.maxNewTokens - 1; step++) logits = await run.step(argmax(logits));
}

function prefillTask(task: TuneTask, ids: Int32Array, reserve: number): PrefillTask {
  return {
    type: "prefill",
    context: task.context,
    cancel: task.cancel,
    calls: task.calls,
    events: task.events,
    ids,
    reserve,
    dense: true,
  };
}
