// Runs operations on shared memory and reports the bits.
import { parentPort, workerData } from "node:worker_threads";
import { loadNative } from "../../dist/index.js";

const { x, columns } = workerData;
const operations = loadNative({ threads: 2 });
const out = new Float32Array(columns);
for (let repeat = 0; repeat < 50; repeat++) operations.columnSums(x, x.length / columns, columns, out);
parentPort.postMessage({ out, best: operations.topK(out, 7) });
