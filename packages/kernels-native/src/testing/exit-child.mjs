// Run as a child process: uses the add-on from several worker threads, then ends in the way that the argument names.
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { loadNative } from "../../dist/index.js";

const operations = loadNative({ threads: 3 });
const x = new Float32Array(100_000).fill(1);

function compute() {
  operations.softmaxRows(x, 10, 10_000);
}

if (isMainThread) {
  const workers = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url)));
  await Promise.all(workers.map((worker) => once(worker, "message")));
  compute();
  const ending = process.argv[2];
  if (ending === "terminate") await Promise.all(workers.map((worker) => worker.terminate()));
  if (ending === "close") operations.close();
  if (ending === "drain") for (const worker of workers) worker.postMessage("stop");
  else process.exit(0);
} else {
  // Busy until told to stop, so that whatever ends the process meets running operations.
  let stopped = false;
  parentPort.once("message", () => {
    stopped = true;
  });
  compute();
  parentPort.postMessage("ready");
  while (!stopped) {
    compute();
    await new Promise(setImmediate);
  }
}
