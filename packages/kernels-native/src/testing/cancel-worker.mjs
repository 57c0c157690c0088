// Sets the cancel flag as soon as the main thread says that it is about to start.
import { workerData } from "node:worker_threads";

const { started, cancel } = workerData;
Atomics.wait(started, 0, 0);
Atomics.store(cancel, 0, 1);
