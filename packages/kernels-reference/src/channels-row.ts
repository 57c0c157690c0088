import { type ChannelsWeight, fromBf16, type LowRankFactors } from "@winnow/core";
import { selectEntries } from "./select-entries.js";

/**
 * One sparse row: `sums[o] = sum over selected j of x[j] * data[j, o]`, plus the low-rank product of the rest of x. Channels that are not selected are not
 * read. Returns the bytes read, without bias.
 */
export function channelsRow(x: Float32Array, weight: ChannelsWeight, sums: Float64Array): number {
  const { data, outFeatures, selection, lowRank } = weight;
  const selected = selectEntries(selection, x);
  sums.fill(0);
  for (const j of selected) addScaled(sums, x[j], data, j * outFeatures);
  const factorBytes = lowRank ? addLowRank(withZeros(x, selected), lowRank, sums) : 0;
  return selected.length * outFeatures * data.BYTES_PER_ELEMENT + factorBytes;
}

/** `sums += outputs^T (inputs^T rest)`; input channels that are 0 are not read, and nothing if all are. */
function addLowRank(rest: Float32Array, { rank, inputs, outputs }: LowRankFactors, sums: Float64Array): number {
  const inner = new Float64Array(rank);
  let channels = 0;
  for (let j = 0; j < rest.length; j++) {
    if (rest[j] === 0) continue;
    addScaled(inner, rest[j], inputs, j * rank);
    channels++;
  }
  if (channels === 0) return 0;
  for (let k = 0; k < rank; k++) addScaled(sums, inner[k], outputs, k * sums.length);
  return (channels * rank + outputs.length) * inputs.BYTES_PER_ELEMENT;
}

/** `sums += factor * row`, the row starting at `start`. */
function addScaled(sums: Float64Array, factor: number, data: Float32Array | Uint16Array, start: number): void {
  const widen = data instanceof Uint16Array ? fromBf16 : (stored: number) => stored;
  for (let o = 0; o < sums.length; o++) sums[o] += factor * widen(data[start + o]);
}

function withZeros(x: Float32Array, indices: Int32Array): Float32Array {
  const rest = x.slice();
  for (const j of indices) rest[j] = 0;
  return rest;
}
