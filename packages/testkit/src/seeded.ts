import { type FloatData, type FloatDtype, fromBf16, toBf16 } from "@winnow/core";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface NumberOptions {
  /** Rounds to bf16, so that any storage type holds the values without loss. */
  readonly exactBf16?: boolean;
}

/** Reproducible random data: the same seed gives the same numbers on every machine. */
export class Seeded {
  private readonly generator: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number) {
    this.generator = xoroshiro128plus(seed);
  }

  /** In [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * uniformFloat64(this.generator);
  }

  /** In low..high, both included. */
  integer(low: number, high: number): number {
    return uniformInt(this.generator, low, high);
  }

  /** Mean 0, variance 1 (Box-Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  uniforms(count: number, low = 0, high = 1, options: NumberOptions = {}): Float32Array {
    return fill(count, () => this.uniform(low, high), options);
  }

  integers(count: number, low: number, high: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.integer(low, high));
  }

  normals(count: number, options: NumberOptions = {}): Float32Array {
    return fill(count, () => this.normal(), options);
  }

  /** Normals in the storage type of a cache or weight. */
  stored(count: number, dtype: FloatDtype): FloatData {
    return dtype === "bf16" ? toStored(this.normals(count), "bf16") : this.normals(count);
  }

  /** `count` different integers of 0..below - 1, ascending. */
  subset(count: number, below: number): Int32Array {
    const rest = Int32Array.from({ length: below }, (_, index) => index);
    for (let place = 0; place < count; place++) {
      const other = this.integer(place, below - 1);
      [rest[place], rest[other]] = [rest[other], rest[place]];
    }
    return rest.slice(0, count).sort();
  }

  /** One element of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)];
  }
}

function fill(count: number, next: () => number, { exactBf16 = false }: NumberOptions): Float32Array {
  return Float32Array.from({ length: count }, () => (exactBf16 ? fromBf16(toBf16(next())) : next()));
}

/** Values in a storage type; bf16 rounds. */
export function toStored(values: ArrayLike<number>, dtype: FloatDtype): FloatData {
  return dtype === "bf16" ? Uint16Array.from(values, toBf16) : Float32Array.from(values);
}
