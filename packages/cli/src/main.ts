import { WinnowError } from "@winnow/core/errors";
import { CommanderError } from "./commander.js";
import type { CommandContext, ExitStatus } from "./context.js";
import { notice } from "./io.js";
import { createProgram, type Run } from "./program.js";

/** Exit status after Ctrl-C, as shells expect it. */
const INTERRUPTED = 130;

/** Exit status when the reader of a pipe has gone, as shells report it. */
const READER_GONE = 141;

async function main(): Promise<void> {
  const interrupt = new AbortController();
  let listening = false;
  const context: CommandContext = {
    get signal() {
      if (!listening) stopOnInterrupt(interrupt);
      listening = true;
      return interrupt.signal;
    },
  };
  // A reader that has seen enough (`| head`) closes the pipe.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(READER_GONE);
    throw error;
  });
  const run = async (work: Run) => {
    process.exitCode = await work(context);
  };
  try {
    await createProgram(run).parseAsync();
  } catch (error) {
    process.exitCode = report(error, interrupt.signal.aborted);
  }
}

function stopOnInterrupt(interrupt: AbortController): void {
  // Once only: a second Ctrl-C finds no handler and ends the process at once, whatever its threads do.
  process.once("SIGINT", () => {
    notice("Stopping. Press Ctrl-C again to end at once.");
    interrupt.abort(new WinnowError("ERR_CANCELLED", "Stopped by Ctrl-C."));
  });
}

function report(error: unknown, interrupted: boolean): ExitStatus {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (interrupted) {
    notice("Stopped.");
    return INTERRUPTED;
  }
  if (error instanceof WinnowError) {
    notice(error.toString());
    return 2;
  }
  notice(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 70;
}

await main();
