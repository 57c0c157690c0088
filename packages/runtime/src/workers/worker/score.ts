import { negativeLogLikelihoods } from "@winnow/models";
import { resolveGenerationOptions } from "../../engine/generation-options.js";
import { noDecodeStats } from "../../receipt/stats.js";
import type { DecodeTask, PrefillTask, ScoreResult, ScoreTask } from "../messages.js";
import { throwIfCancelled } from "./cancel.js";
import { DecodeRun } from "./decode-run.js";
import { prefillWith } from "./prefill.js";
import { CHUNK_ROWS, type Session } from "./session.js";
import { noText } from "./text-stream.js";

/**
 * Teacher-forced likelihood of a text. With all tokens prefilled, every token but the first is scored under the plan's maskers; otherwise those after the
 * prefilled ones, step by step under its KV pruners.
 */
export async function score(session: Session, task: ScoreTask): Promise<ScoreResult> {
  return task.prefilled === task.ids.length ? scorePrefill(session, task) : scoreDecode(session, task);
}

async function scorePrefill(session: Session, task: ScoreTask): Promise<ScoreResult> {
  const { decoder, operations } = session;
  const { hiddenSize, vocabSize } = decoder.config;
  const targets = task.ids.subarray(1);
  const losses = new Float64Array(targets.length);
  const { stats } = await prefillWith(session, prefillTask(task), {
    sparseTokens: task.sparseTokens,
    async onResidual(residual) {
      const logits = new Float32Array(Math.min(CHUNK_ROWS, targets.length) * vocabSize);
      for (let start = 0; start < targets.length; start += CHUNK_ROWS) {
        throwIfCancelled(task.cancel);
        const part = targets.subarray(start, start + CHUNK_ROWS);
        await decoder.logits(residual.subarray(start * hiddenSize), part.length, logits);
        losses.set(negativeLogLikelihoods(operations, logits, part, vocabSize), start);
      }
    },
  });
  return { losses, prefill: stats, decode: noDecodeStats };
}

async function scoreDecode(session: Session, task: ScoreTask): Promise<ScoreResult> {
  const { vocabSize } = session.decoder.config;
  const { sequence, stats } = await prefillWith(session, prefillTask(task), { sparseTokens: task.sparseTokens });
  const run = new DecodeRun(session, decodeTask(task, sequence));
  const targets = task.ids.subarray(task.prefilled);
  const losses = new Float64Array(targets.length);
  let logits = sequence.logits;
  for (let i = 0; i < targets.length; i++) {
    throwIfCancelled(task.cancel);
    if (i > 0) logits = await run.step(targets[i - 1]);
    losses.set(negativeLogLikelihoods(session.operations, logits, targets.subarray(i, i + 1), vocabSize), i);
  }
  return { losses, prefill: stats, decode: run.stats() };
}

function prefillTask({ context, cancel, calls, events, ids, prefilled, dense }: ScoreTask): PrefillTask {
  const reserve = ids.length - prefilled;
  return { type: "prefill", context, cancel, calls, events, ids: ids.subarray(0, prefilled), reserve, dense };
}

function decodeTask(task: ScoreTask, sequence: DecodeTask["sequence"]): DecodeTask {
  const { context, cancel, calls, events, dense } = task;
  return {
    type: "decode",
    context,
    cancel,
    calls,
    events,
    sequence,
    stream: { seen: new Set(), generated: 0, text: noText },
    options: resolveGenerationOptions({ maxNewTokens: 1, dense }),
    sliceMilliseconds: Number.POSITIVE_INFINITY,
  };
}
