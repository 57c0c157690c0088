/**
 * Pools `votes` along the text: width `kernel` (odd), stride 1, same length.
 * `avg`: the divisor is always `kernel`, places beyond an end count as 0; `max`: places beyond an end never win.
 *
 * Each sum is taken afresh, O(n * kernel): kernels are 5 or 7 wide, and a running sum would break exact ties by its rounding.
 */
export function poolVotes(votes: Float32Array, kernel: number, pooling: "avg" | "max"): Float32Array {
  const pool = pooling === "avg" ? meanOf : maximumOf;
  const half = (kernel - 1) / 2;
  return votes.map((_, j) => pool(votes, Math.max(0, j - half), Math.min(votes.length, j + half + 1), kernel));
}

function meanOf(votes: Float32Array, start: number, end: number, kernel: number): number {
  let sum = 0;
  for (let j = start; j < end; j++) sum += votes[j];
  return sum / kernel;
}

function maximumOf(votes: Float32Array, start: number, end: number): number {
  let best = -Infinity;
  for (let j = start; j < end; j++) best = Math.max(best, votes[j]);
  return best;
}
