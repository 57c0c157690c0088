import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { WinnowError } from "@winnow/core";

/** Residual streams of sequences on disk, float32 `[sequences, length, hidden]`, so that one sequence at a time is in memory. */
export class ResidualFile {
  readonly #fd: number;
  readonly #path: string;

  /** `create` makes the file if it is not there and never cuts it, so that several threads may write their own sequences. */
  constructor(path: string, mode: "read" | "create") {
    this.#path = path;
    this.#fd = guarded(path, () => openSync(path, mode === "read" ? "r" : constants.O_WRONLY | constants.O_CREAT));
  }

  /** Fills `residual` with sequence `index`, all of which have its length. */
  read(index: number, residual: Float32Array): void {
    const bytes = bytesOf(residual);
    for (let done = 0; done < bytes.length; ) {
      const got = guarded(this.#path, () =>
        readSync(this.#fd, bytes, done, pieceOf(bytes, done), index * bytes.length + done),
      );
      if (got === 0) throw failure(this.#path, `sequence ${index} is missing`);
      done += got;
    }
  }

  write(index: number, residual: Float32Array): void {
    const bytes = bytesOf(residual);
    for (let done = 0; done < bytes.length; ) {
      done += guarded(this.#path, () =>
        writeSync(this.#fd, bytes, done, pieceOf(bytes, done), index * bytes.length + done),
      );
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** One call beyond 2 GiB fails on Linux. */
const PIECE_BYTES = 2 ** 26;

function pieceOf(bytes: Uint8Array, done: number): number {
  return Math.min(PIECE_BYTES, bytes.length - done);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw failure(path, (cause as Error).message, cause);
  }
}

function failure(path: string, problem: string, cause?: unknown): WinnowError {
  return new WinnowError(
    "ERR_OUTPUT_FILE",
    `Cannot use the work file "${path}": ${problem}. Check the free space and the rights of its folder, then start again.`,
    { cause },
  );
}
