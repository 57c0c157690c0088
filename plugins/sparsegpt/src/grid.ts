/** Evenly spaced values `scale * (level - zero)`, level in 0..top; 0 is one of them. */
export interface Grid {
  readonly scale: number;
  readonly zero: number;
  readonly top: number;
}

/** Asymmetric min-max grid of each row of `[rows, columns]`, 0 included; a row of zeros gets the grid of -1..1. All steps in float32, as the reference. */
export function rowGrids(values: Float32Array, columns: number, bits: number): Grid[] {
  const top = 2 ** bits - 1;
  return Array.from({ length: values.length / columns }, (_, row) => {
    let [low, high] = [0, 0];
    for (let e = row * columns; e < (row + 1) * columns; e++) {
      low = Math.min(low, values[e]);
      high = Math.max(high, values[e]);
    }
    if (low === high) [low, high] = [-1, 1];
    // At least the smallest float32, so that a row of denormals does not divide by 0.
    const scale = Math.max(Math.fround(Math.fround(high - low) / top), 2 ** -149);
    return { scale, zero: roundEven(Math.fround(-low / scale)), top };
  });
}

/** The nearest value of the grid. */
export function onGrid(value: number, { scale, zero, top }: Grid): number {
  const level = roundEven(Math.fround(value / scale)) + zero;
  return Math.fround(scale * (Math.min(Math.max(level, 0), top) - zero));
}

/** To the nearest integer, halves to the even one. */
function roundEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
