import { type FloatDtype, PANEL } from "@winnow/core";

type Numbers = Float32Array | Uint16Array | Int8Array;

/** Inputs that stand side by side in a lane. */
const together: Record<FloatDtype | "int8", number> = { f32: 1, bf16: 2, int8: 4 };

/** The stored numbers of output feature `o`, as many as `row` holds. */
export function readPanelRow(dtype: FloatDtype | "int8", panels: Numbers, o: number, row: Numbers): void {
  const width = together[dtype];
  const stride = PANEL * width;
  for (let i = 0, step = firstPlace(width, o, row.length); i < row.length; step += stride) {
    for (let t = 0; t < width && i < row.length; t++, i++) row[i] = panels[step + t];
  }
}

/** The inverse of {@link readPanelRow}. */
export function writePanelRow(dtype: FloatDtype | "int8", panels: Numbers, o: number, row: Numbers): void {
  const width = together[dtype];
  const stride = PANEL * width;
  for (let i = 0, step = firstPlace(width, o, row.length); i < row.length; step += stride) {
    for (let t = 0; t < width && i < row.length; t++, i++) panels[step + t] = row[i];
  }
}

function firstPlace(width: number, o: number, inFeatures: number): number {
  const steps = Math.floor(o / PANEL) * Math.ceil(inFeatures / width);
  return (steps * PANEL + (o % PANEL)) * width;
}
