import { type DenseWeight, floatValues, fromBf16, toBf16 } from "@winnow/core";
import { KernelMemory } from "./kernel-memory.js";

/** Rows of x, and of the matrix, that are in the kernel's memory at a time: what both take stays in a core's cache. */
export const X_ROWS = 64;
const TILE_ROWS = 64;

/** Float32 lanes of a vector, and rows of the matrix that `product1` takes at once (`product4`: half). */
const TOGETHER = 4;

const padded = (count: number) => Math.ceil(count / TOGETHER) * TOGETHER;

/** Products of a few rows with a matrix of any size, tile by tile. */
export class Product {
  readonly #memory = new KernelMemory();
  /** Where weights that stay begin. */
  readonly #resident = new WeakMap<DenseWeight, number>();

  /** Copies a weight into the kernel's memory, as float32, if there is room: `ceil(out / 4) * ceil(in / 4) * 64` bytes. */
  keep(weight: DenseWeight): void {
    if (this.#resident.has(weight)) return;
    const { outFeatures, inFeatures } = weight;
    const start = this.#memory.allocate(4 * padded(outFeatures) * padded(inFeatures));
    if (start === undefined) return;
    this.#write(start, floatValues(weight), outFeatures, inFeatures);
    this.#resident.set(weight, start);
  }

  /** `out[r, o] = sum + bias[o]`, or added to out, for at most `X_ROWS` rows of x. */
  run(x: Float32Array, rows: number, weight: DenseWeight, out: Float32Array, accumulate: boolean): void {
    const { dtype, inFeatures, outFeatures } = weight;
    const bytes = 4 * padded(inFeatures);
    const resident = this.#resident.get(weight);
    const tileStart = resident ?? this.#memory.scratch("tile", TILE_ROWS * bytes);
    const xStart = this.#memory.scratch("x", X_ROWS * bytes);
    const sumsStart = this.#memory.scratch("sums", 4 * X_ROWS * TILE_ROWS);
    this.#write(xStart, dtype === "bf16" ? x.map(roundToBf16) : x, rows, inFeatures);
    for (let o = 0; o < outFeatures; o += TILE_ROWS) {
      const count = Math.min(TILE_ROWS, outFeatures - o);
      const tile = resident === undefined ? tileStart : resident + o * bytes;
      if (resident === undefined) this.#write(tile, tileValues(weight, o, count), count, inFeatures);
      this.#multiply(xStart, tile, sumsStart, { rows, count: padded(count), bytes });
      this.#finish(sumsStart, { rows, o, count }, weight, out, accumulate);
    }
  }

  /** Rows with zeros up to whole vectors. */
  #write(start: number, values: Float32Array, rows: number, width: number): void {
    const { floats } = this.#memory;
    const stride = padded(width);
    for (let r = 0, at = start / 4; r < rows; r++, at += stride) {
      floats.set(values.subarray(r * width, (r + 1) * width), at);
      floats.fill(0, at + width, at + stride);
    }
  }

  /** Sums `[rows, count]`. */
  #multiply(x: number, tile: number, sums: number, size: { rows: number; count: number; bytes: number }): void {
    const { kernel } = this.#memory;
    const { rows, count, bytes } = size;
    const stride = 4 * count;
    let r = 0;
    for (; r + 4 <= rows; r += 4) kernel.product4(x + r * bytes, tile, sums + r * stride, bytes, count / 2, stride);
    for (; r < rows; r++) kernel.product1(x + r * bytes, tile, sums + r * stride, bytes, count / TOGETHER);
  }

  #finish(
    sums: number,
    { rows, o, count }: { rows: number; o: number; count: number },
    { outFeatures, bias }: DenseWeight,
    out: Float32Array,
    accumulate: boolean,
  ): void {
    const { floats } = this.#memory;
    for (let r = 0; r < rows; r++) {
      const from = sums / 4 + r * padded(count);
      const to = r * outFeatures + o;
      for (let c = 0; c < count; c++) {
        const value = floats[from + c] + (bias ? bias[o + c] : 0);
        out[to + c] = accumulate ? out[to + c] + value : value;
      }
    }
  }
}

function tileValues(weight: DenseWeight, o: number, count: number): Float32Array {
  const { inFeatures } = weight;
  return floatValues({ ...weight, data: weight.data.subarray(o * inFeatures, (o + count) * inFeatures) });
}

function roundToBf16(value: number): number {
  return fromBf16(toBf16(value));
}
