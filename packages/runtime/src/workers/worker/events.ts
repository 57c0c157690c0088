import type { MessagePort } from "node:worker_threads";
import type { WorkerEvent } from "../messages.js";

/** Sends an event to whoever awaits the task. */
export function emit(port: MessagePort, event: WorkerEvent): void {
  port.postMessage(event);
}

export function emitProgress(port: MessagePort, share: number, label: string): void {
  emit(port, { event: "progress", share, label });
}
