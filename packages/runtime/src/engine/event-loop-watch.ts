import { monitorEventLoopDelay } from "node:perf_hooks";

/** Watches how long this thread's event loop is held up, until `stop` is called. */
export interface EventLoopWatch {
  /** Ends the watch; longest delay in milliseconds. */
  stop(): number;
}

export function watchEventLoop(): EventLoopWatch {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  return {
    stop() {
      delay.disable();
      return delay.max / 1e6;
    },
  };
}
