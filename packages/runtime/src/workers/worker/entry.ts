import { type PlainError, WinnowError } from "@winnow/core";
import { announceCallsOn } from "../../registry/plugin-calls.js";
import type { EngineContext, Task, TaskOutcome } from "../messages.js";
import { lowerThreadPriority } from "./priority.js";

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

/** Code is loaded with the first task that needs it: a worker that only plans is there sooner. */
async function dispatch(task: Task): Promise<unknown> {
  switch (task.type) {
    case "plan":
      return (await import("./plan.js")).plan(task);
    case "load":
      return (await import("./load.js")).load(task);
    case "open":
      await sessionOf(task.context);
      return undefined;
    case "encode":
      return (await import("./encode.js")).encode(task);
    case "prefill":
      return (await import("./prefill.js")).prefill(await sessionOf(task.context), task);
    case "decode":
      return (await import("./decode.js")).decode(await sessionOf(task.context), task);
    case "score":
      return (await import("./score.js")).score(await sessionOf(task.context), task);
    case "tune":
      return (await import("./tune.js")).tune(await sessionOf(task.context), task);
    case "prune":
      return (await import("./prune/run-step.js")).runPruneStep(task);
  }
}

async function sessionOf(context: EngineContext) {
  return (await import("./session.js")).sessionOf(context);
}

function plainError(error: unknown): PlainError {
  if (error instanceof WinnowError) return error.toPlain();
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "ERR_WORKER_DIED", message: `A worker failed unexpectedly: ${detail}` };
}
