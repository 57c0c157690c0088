import type { Band, RangesMask } from "./mask.js";

/** Int32Array that grows by doubling. */
export class Int32Buffer {
  length = 0;
  private data: Int32Array;

  constructor(capacity = 256) {
    this.data = new Int32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.data.length) this.grow();
    this.data[this.length++] = value;
  }

  at(index: number): number {
    return this.data[index];
  }

  set(index: number, value: number): void {
    this.data[index] = value;
  }

  clear(): void {
    this.length = 0;
  }

  /** Copy of the filled part. */
  toArray(): Int32Array {
    return this.data.slice(0, this.length);
  }

  private grow(): void {
    const larger = new Int32Array(this.data.length * 2);
    larger.set(this.data);
    this.data = larger;
  }
}

/**
 * Writes a {@link RangesMask} query block by query block, in ascending key order.
 * Ranges that touch and carry the same flags become one; empty ones vanish.
 */
export class RangesBuilder {
  private readonly rangeOffsets = new Int32Buffer();
  private readonly ranges = new Int32Buffer();
  private readonly flags = new Int32Buffer();
  private readonly columnOffsets = new Int32Buffer();
  private readonly columns = new Int32Buffer();
  private blockStart = 0;

  constructor(
    private readonly blockSize: number,
    private readonly bands: readonly Band[] = [],
  ) {
    this.rangeOffsets.push(0);
    this.columnOffsets.push(0);
  }

  range(start: number, end: number, flags = 0): void {
    if (start >= end) return;
    const last = this.flags.length - 1;
    const continues =
      last >= this.blockStart && this.ranges.at(2 * last + 1) === start && this.flags.at(last) === flags;
    if (continues) {
      this.ranges.set(2 * last + 1, end);
      return;
    }
    this.ranges.push(start);
    this.ranges.push(end);
    this.flags.push(flags);
  }

  column(key: number): void {
    this.columns.push(key);
  }

  endBlock(): void {
    this.blockStart = this.flags.length;
    this.rangeOffsets.push(this.blockStart);
    this.columnOffsets.push(this.columns.length);
  }

  finish(): RangesMask {
    return {
      form: "ranges",
      blockSize: this.blockSize,
      rangeOffsets: this.rangeOffsets.toArray(),
      ranges: this.ranges.toArray(),
      rangeFlags: Uint8Array.from(this.flags.toArray()),
      columnOffsets: this.columnOffsets.toArray(),
      columns: this.columns.toArray(),
      bands: this.bands,
    };
  }
}
