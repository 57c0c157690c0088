const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;
const ROUNDS = 10;

/**
 * Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): four uniform 32-bit numbers for four words of counter and two
 * of key, in place of the counter. Any number can be drawn without those before it.
 */
export function philox(counter: Uint32Array, key0: number, key1: number): void {
  let k0 = key0;
  let k1 = key1;
  for (let round = 0; round < ROUNDS; round++) {
    const c0 = counter[0];
    const c2 = counter[2];
    counter[0] = highProduct(MULTIPLIER_1, c2) ^ counter[1] ^ k0;
    counter[1] = Math.imul(MULTIPLIER_1, c2);
    counter[2] = highProduct(MULTIPLIER_0, c0) ^ counter[3] ^ k1;
    counter[3] = Math.imul(MULTIPLIER_0, c0);
    k0 = (k0 + KEY_STEP_0) >>> 0;
    k1 = (k1 + KEY_STEP_1) >>> 0;
  }
}

/** `count` uniform 32-bit numbers of one stream; a stream is a seed and two numbers of the caller. */
export function randomWords(count: number, seed: number, stream0: number, stream1: number): Uint32Array {
  const words = new Uint32Array(count);
  const counter = new Uint32Array(4);
  for (let start = 0; start < count; start += 4) {
    counter[0] = start / 4;
    counter[1] = 0;
    counter[2] = stream0;
    counter[3] = stream1;
    philox(counter, seed, 0);
    for (let lane = 0; lane < Math.min(4, count - start); lane++) words[start + lane] = counter[lane];
  }
  return words;
}

/** Upper 32 bits of a 32 x 32 bit product, by halves: the whole product does not fit a float64. */
function highProduct(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor((aLow * bHigh + (middle & 0xffff)) / 65536);
}
