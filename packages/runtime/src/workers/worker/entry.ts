import { type PlainError, WinnowError } from "@winnow/core";
import { announceCallsOn } from "../../registry/plugin-calls.js";
import type { Task, TaskOutcome } from "../messages.js";
import { decode } from "./decode.js";
import { encode } from "./encode.js";
import { load } from "./load.js";
import { prefill } from "./prefill.js";
import { lowerThreadPriority } from "./priority.js";
import { runPruneStep } from "./prune/run-step.js";
import { score } from "./score.js";
import { sessionOf } from "./session.js";
import { tune } from "./tune.js";

lowerThreadPriority();

/** Where tasks arrive in a worker. Errors travel as data, so that code and location survive. */
export default async function run(task: Task): Promise<TaskOutcome<unknown>> {
  announceCallsOn(task.calls);
  try {
    return { ok: await dispatch(task) };
  } catch (error) {
    return { error: plainError(error) };
  } finally {
    task.events.close();
  }
}

async function dispatch(task: Task): Promise<unknown> {
  switch (task.type) {
    case "load":
      return load(task);
    case "open":
      await sessionOf(task.context);
      return undefined;
    case "encode":
      return encode(task);
    case "prefill":
      return prefill(await sessionOf(task.context), task);
    case "decode":
      return decode(await sessionOf(task.context), task);
    case "score":
      return score(await sessionOf(task.context), task);
    case "tune":
      return tune(await sessionOf(task.context), task);
    case "prune":
      return runPruneStep(task);
  }
}

function plainError(error: unknown): PlainError {
  if (error instanceof WinnowError) return error.toPlain();
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "ERR_WORKER_DIED", message: `A worker failed unexpectedly: ${detail}` };
}
