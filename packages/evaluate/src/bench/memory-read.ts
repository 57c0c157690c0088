import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CLOSED, DONE, type MemoryReadJob, ROUND, readSlice } from "./memory-read-slice.js";

/** Reads memory and does nothing with it: the rate that no kernel on as many threads can exceed by much. */
export interface MemoryRead {
  readonly bytes: number;
  /** Reads all of it once. Blocks this thread. */
  read(): void;
  close(): Promise<void>;
}

export async function createMemoryRead(bytes: number, threads: number): Promise<MemoryRead> {
  // Written once, since pages that never were share one page of zeros.
  const memory = new Uint8Array(new SharedArrayBuffer(bytes)).fill(1);
  const control = new Int32Array(new SharedArrayBuffer(8));
  const workers = Array.from({ length: threads - 1 }, (_, index) => {
    const workerData: MemoryReadJob = { control, memory, part: index + 1, parts: threads };
    return new Worker(new URL("./memory-read-worker.js", import.meta.url), { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, "message")));
  return {
    bytes,
    read() {
      Atomics.store(control, DONE, 0);
      Atomics.add(control, ROUND, 1);
      Atomics.notify(control, ROUND);
      readSlice(memory, 0, threads);
      for (let done = Atomics.load(control, DONE); done < workers.length; done = Atomics.load(control, DONE))
        Atomics.wait(control, DONE, done);
    },
    async close() {
      Atomics.store(control, ROUND, CLOSED);
      Atomics.notify(control, ROUND);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
