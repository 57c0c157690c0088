/**
 * Replaces numbers by whole ones in -127..127 and returns their scale: `s = max|x| / 127`, `q = round(x / s)`, ties to even, all in float32.
 * The clamp only matters where s is too small to be exact. Of NaN or infinity q is 0 and the scale is not finite, so that what follows is not either.
 */
export function quantize(row: Float32Array): number {
  const scale = Math.fround(largestMagnitude(row) / 127);
  for (let i = 0; i < row.length; i++) {
    const quotient = scale > 0 && Number.isFinite(scale) ? roundToEven(Math.fround(row[i] / scale)) : 0;
    row[i] = Math.max(-127, Math.min(127, quotient));
  }
  return scale;
}

/** NaN if there is one. */
export function largestMagnitude(row: Float32Array): number {
  let largest = 0;
  for (const value of row) largest = Math.max(largest, Math.abs(value));
  return largest;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
