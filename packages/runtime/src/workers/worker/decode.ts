import { createSampler } from "../../engine/sampler.js";
import type { DecodeResult, DecodeTask, FinishReason } from "../messages.js";
import { throwIfCancelled } from "./cancel.js";
import { DecodeRun } from "./decode-run.js";
import { emit } from "./events.js";
import { checkPrunerStates } from "./pruner-state.js";
import type { Session } from "./session.js";
import { TextStream } from "./text-stream.js";

/** Tokens of one stream until its slice of time is over or it ends; each goes out as soon as it is known. */
export async function decode(session: Session, task: DecodeTask): Promise<DecodeResult> {
  const { options, sequence, stream, cancel, events } = task;
  const run = new DecodeRun(session, task);
  const sampler = createSampler({
    options: options.sampling,
    logProbabilities: options.logProbabilities,
    softmaxRows: session.operations.softmaxRows,
    state: stream.sampler,
  });
  const text = new TextStream(session.tokenizer, options.stop.strings, stream.text);
  const seen = new Set(stream.seen);
  const deadline = performance.now() + task.sliceMilliseconds;
  let generated = stream.generated;
  let logits = sequence.logits;
  let finish: FinishReason | undefined;

  while (!finish) {
    throwIfCancelled(cancel);
    const drawn = sampler.draw(logits, seen);
    seen.add(drawn.id);
    generated++;
    finish = finishOf(task, drawn.id, generated);
    const silent = finish === "end-of-sequence" || finish === "stop-id";
    const pushed = silent ? { text: "", stopped: false } : text.push(drawn.id);
    if (pushed.stopped) finish = "stop-string";
    const rest = finish && !pushed.stopped ? text.flush() : { text: "", stopped: false };
    if (rest.stopped) finish = "stop-string";
    emit(events, { event: "token", token: { ...drawn, text: pushed.text + rest.text } });
    if (finish) break;
    logits = await run.step(drawn.id);
    if (performance.now() >= deadline) break;
  }
  checkPrunerStates(session.plugins.pruners, sequence.prunerStates);
  return {
    sequence: { ...sequence, position: run.position, layers: run.layers, logits },
    stream: { seen, generated, sampler: sampler.state(), text: text.state },
    stats: run.stats(),
    ...(finish && { finish }),
  };
}

function finishOf(task: DecodeTask, id: number, generated: number): FinishReason | undefined {
  const { options, context, sequence, stream } = task;
  if (options.stop.endOfSequence && context.model.endOfSequenceIds.includes(id)) return "end-of-sequence";
  if (options.stop.ids.includes(id)) return "stop-id";
  if (generated >= options.maxNewTokens) return "length";
  if (sequence.position + (generated - stream.generated) > context.plan.model.shape.contextLength)
    return "context-full";
  return undefined;
}
