/**
 * The generator behind Python's `random.seed(n)` and `random.randint`: MT19937 (Matsumoto and Nishimura, 1998), seeded by `init_by_array`,
 * with Python's rejection of values beyond the range. Same seed, same numbers as CPython 3.2 and later.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(SIZE);
  #next = SIZE;

  /** `seed` in [0, 2^32): one word of the key. */
  constructor(seed: number) {
    this.#initByArray([seed]);
  }

  /** A whole number in [from, to], both included, at most 2^32 of them. */
  randint(from: number, to: number): number {
    const count = to - from + 1;
    const bits = count >= 2 ** 32 ? 33 : 32 - Math.clz32(count);
    let drawn: number;
    do drawn = this.#bits(bits);
    while (drawn >= count);
    return from + drawn;
  }

  /** The top `bits` bits of one output; 33 bits take two outputs, the first one being the low half. */
  #bits(bits: number): number {
    if (bits <= 32) return this.#uint32() >>> (32 - bits);
    const low = this.#uint32();
    return (this.#uint32() >>> (64 - bits)) * 2 ** 32 + low;
  }

  #initByArray(key: readonly number[]): void {
    const state = this.#state;
    state[0] = 19650218;
    for (let i = 1; i < SIZE; i++) state[i] = Math.imul(1812433253, mixed(state[i - 1])) + i;
    let i = 1;
    let j = 0;
    for (let k = 0; k < SIZE; k++) {
      state[i] = (state[i] ^ Math.imul(mixed(state[i - 1]), 1664525)) + key[j] + j;
      i = this.#step(i);
      j = (j + 1) % key.length;
    }
    for (let k = 0; k < SIZE - 1; k++) {
      state[i] = (state[i] ^ Math.imul(mixed(state[i - 1]), 1566083941)) - i;
      i = this.#step(i);
    }
    state[0] = 0x80000000;
  }

  #step(i: number): number {
    if (i + 1 < SIZE) return i + 1;
    this.#state[0] = this.#state[SIZE - 1];
    return 1;
  }

  #uint32(): number {
    if (this.#next === SIZE) this.#refill();
    let y = this.#state[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

const SIZE = 624;
const SHIFT = 397;

function mixed(word: number): number {
  return word ^ (word >>> 30);
}
