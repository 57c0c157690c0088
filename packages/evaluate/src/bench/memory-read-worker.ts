import { parentPort, workerData } from "node:worker_threads";
import { CLOSED, DONE, type MemoryReadJob, ROUND, readSlice } from "./memory-read-slice.js";

const { control, memory, part, parts } = workerData as MemoryReadJob;

parentPort!.postMessage("ready");
for (let seen = 0; ; ) {
  Atomics.wait(control, ROUND, seen);
  seen = Atomics.load(control, ROUND);
  if (seen === CLOSED) break;
  readSlice(memory, part, parts);
  Atomics.add(control, DONE, 1);
  Atomics.notify(control, DONE);
}
