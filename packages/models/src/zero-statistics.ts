import type { FloatData } from "@winnow/core";

/** Weights w with 2^exponent <= |w| < 2^(exponent + 1); those below 2^-126 are under -127. */
export interface MagnitudeBin {
  readonly exponent: number;
  readonly count: number;
}

/** Neighbours along a row that patterns look at together. */
const BLOCK = 16;

/** Counts of one matrix, gathered from whole rows in order. A few ns a weight. */
export class ZeroStatistics {
  zeros = 0;
  emptyRows = 0;
  private readonly exponents = new Float64Array(256);
  /** Which sets of non-zeros occur among 16 neighbours, one bit each: patterns follow from these alone. */
  private readonly occupancies = new Uint8Array(1 << BLOCK);

  constructor(private readonly inFeatures: number) {}

  /** `data`: any number of whole rows. */
  add(data: FloatData): void {
    const bf16 = !(data instanceof Float32Array);
    const bits = bf16 ? data : new Uint32Array(data.buffer, data.byteOffset, data.length);
    const fractionBits = bf16 ? 7 : 23;
    const magnitude = bf16 ? 0x7fff : 0x7fffffff;
    for (let row = 0; row < bits.length; row += this.inFeatures) {
      const before = this.zeros;
      for (let start = row; start < row + this.inFeatures; start += BLOCK) {
        const end = Math.min(start + BLOCK, row + this.inFeatures);
        let occupied = 0;
        for (let e = start; e < end; e++) {
          const size = bits[e] & magnitude;
          if (size === 0) continue;
          occupied |= 1 << (e - start);
          this.exponents[size >>> fractionBits]++;
        }
        this.occupancies[occupied] = 1;
        this.zeros += end - start - popcount(occupied);
      }
      if (this.zeros - before === this.inFeatures) this.emptyRows++;
    }
  }

  /** Every "N:M" with M = 2, 4, 8, 16 and N a power of two up to M / 2 that all rows keep to, the sparsest first. */
  patterns(): readonly string[] {
    const held: { keep: number; of: number }[] = [];
    for (let of = 2; of <= BLOCK; of *= 2) {
      const most = this.mostOf(of);
      for (let keep = 1; keep <= of / 2; keep *= 2) if (most <= keep) held.push({ keep, of });
    }
    return held.sort((a, b) => a.keep / a.of - b.keep / b.of || a.of - b.of).map(({ keep, of }) => `${keep}:${of}`);
  }

  histogram(): readonly MagnitudeBin[] {
    return [...this.exponents]
      .map((count, biased) => ({ exponent: biased - 127, count }))
      .filter(({ count }) => count > 0);
  }

  /** The most non-zeros of any `of` neighbours along a row; `of` is 2, 4, 8 or 16. */
  mostOf(of: number): number {
    let most = 0;
    for (let occupied = 0; occupied < this.occupancies.length; occupied++) {
      if (this.occupancies[occupied] === 0) continue;
      for (let start = 0; start < BLOCK; start += of) {
        most = Math.max(most, popcount((occupied >>> start) & ((1 << of) - 1)));
      }
    }
    return most;
  }
}

/** Bits that are set in a 32-bit word. */
export function popcount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const quads = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((quads + (quads >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
