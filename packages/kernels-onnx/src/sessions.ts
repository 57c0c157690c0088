import { WinnowError } from "@winnow/core";
import type { OnnxGraph } from "./onnx-model.js";
import { createSession, type InferenceSession, type SessionSettings } from "./onnx-runtime.js";

/** Sessions by key, each made from its graph when it is first asked for. */
export class LazySessions<Key extends object> {
  readonly #builders = new Map<Key, () => OnnxGraph>();
  readonly #sessions = new Map<Key, Promise<InferenceSession>>();
  #closed = false;

  constructor(private readonly settings: SessionSettings) {}

  /** `build` runs once at most, and what it refers to is let go afterwards. */
  add(key: Key, build: () => OnnxGraph): void {
    this.#builders.set(key, build);
  }

  /** Throws `ERR_ENGINE_CLOSED` after `close`, `ERR_OPERATION_ARGUMENT` for a key that was not added. */
  get(key: Key): Promise<InferenceSession> {
    const known = this.#sessions.get(key);
    if (known) return known;
    const session = this.#create(key);
    this.#sessions.set(key, session);
    return session;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#builders.clear();
    for (const session of await Promise.allSettled(sessions)) {
      if (session.status === "fulfilled") await session.value.release();
    }
  }

  async #create(key: Key): Promise<InferenceSession> {
    if (this.#closed) throw closedError();
    const build = this.#builders.get(key);
    if (!build) {
      throw new WinnowError(
        "ERR_OPERATION_ARGUMENT",
        "Cannot run an ONNX operation: the handle was made by another instance. Prepare it with the instance that runs it.",
      );
    }
    this.#builders.delete(key);
    return createSession(build().encode(), this.settings);
  }
}

export function closedError(): WinnowError {
  return new WinnowError(
    "ERR_ENGINE_CLOSED",
    "Cannot run an ONNX operation: its sessions were closed. Create a new instance.",
  );
}
