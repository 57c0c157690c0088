/** Densities min(1, epsilon * ratio), with the epsilon that meets the budget found by halving an interval. `ratios` and `sizes` per tensor. */
export function oracleDensities(sizes: number[], ratios: number[], density: number): number[] {
  const total = sizes.reduce((a, b) => a + b, 0);
  const at = (epsilon: number) => ratios.map((ratio) => Math.min(1, epsilon * ratio));
  let [low, high] = [0, 1 / Math.min(...ratios)];
  for (let step = 0; step < 200; step++) {
    const middle = (low + high) / 2;
    const weights = at(middle).reduce((sum, value, l) => sum + value * sizes[l], 0);
    if (weights < density * total) low = middle;
    else high = middle;
  }
  return at(high);
}

/** Philox4x32-10 with 64-bit products as they stand in the paper. */
export function oraclePhilox(counter: number[], key: number[]): number[] {
  const mask = 0xffffffffn;
  let [a, b, c, d] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * a, 0xcd9e8d57n * c];
    [a, b, c, d] = [(p1 >> 32n) ^ b ^ k0, p1 & mask, (p0 >> 32n) ^ d ^ k1, p0 & mask];
    [k0, k1] = [(k0 + 0x9e3779b9n) & mask, (k1 + 0xbb67ae85n) & mask];
  }
  return [a, b, c, d].map(Number);
}
