/** What each thread of a plain read gets. */
export interface MemoryReadJob {
  /** Int32 {@link ROUND} and {@link DONE}. */
  readonly control: Int32Array;
  readonly memory: Uint8Array;
  /** Which of the `parts` slices is this thread's. */
  readonly part: number;
  readonly parts: number;
}

/** Place of the number of the current round. */
export const ROUND = 0;

/** Place of the count of other threads that are done with it. */
export const DONE = 1;

/** Round that ends the threads. */
export const CLOSED = -1;

/** Reads a slice once: its halves, which are equal, are compared by the vector loads of the C library. */
export function readSlice(memory: Uint8Array, part: number, parts: number): void {
  const [start, end] = [part, part + 1].map((index) => Math.floor((index * memory.length) / parts));
  const half = Math.floor((end - start) / 2);
  const halfFrom = (at: number) => Buffer.from(memory.buffer, memory.byteOffset + at, half);
  halfFrom(start).equals(halfFrom(start + half));
}
