import { negativeLogLikelihoods, residualLosses } from "@winnow/models";
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
  let losses: Float64Array = new Float64Array(0);
  const { stats } = await prefillWith(session, prefillTask(task), {
    sparseTokens: task.sparseTokens,
    async onResidual(residual) {
      losses = await residualLosses(session.decoder, {
        residual,
        targets: task.ids.subarray(1),
        chunkRows: CHUNK_ROWS,
        beforeChunk: () => throwIfCancelled(task.cancel),
      });
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
