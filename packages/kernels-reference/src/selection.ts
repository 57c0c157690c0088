import { check, checkArray, checkCount } from "./check.js";

export function topK(values: Float32Array, k: number, start = 0, end?: number): Int32Array {
  const part = partOf("topK", values, start, end);
  checkCount("topK", "k", k);
  check(k <= part.length, "topK", "k", `be at most ${part.length}`, k);
  return largest(part, k);
}

export function topKRows(values: Float32Array, rows: number, columns: number, k: number): Int32Array {
  checkCount("topKRows", "rows", rows);
  checkCount("topKRows", "columns", columns);
  checkCount("topKRows", "k", k);
  check(k <= columns, "topKRows", "k", `be at most ${columns}`, k);
  checkArray("topKRows", "values", values, Float32Array, rows * columns);
  const parts = Array.from({ length: rows }, (_, r) => partOf("topKRows", values, r * columns, (r + 1) * columns));
  const out = new Int32Array(rows * k);
  parts.forEach((part, r) => {
    out.set(largest(part, k), r * k);
  });
  return out;
}

export function prefixMass(values: Float32Array, mass: number, start = 0, end?: number): Int32Array {
  const part = partOf("prefixMass", values, start, end);
  check(mass >= 0 && mass <= 1, "prefixMass", "mass", "be in 0..1", mass);
  const worst = part.find((value) => value < 0 || value === Number.POSITIVE_INFINITY);
  check(worst === undefined, "prefixMass", "values", "be finite and not negative", worst);
  const descending = part.slice().sort().reverse();
  // Added in the order of the prefix sums, so that mass 1 is reached.
  const total = descending.reduce((sum, value) => sum + value, 0);
  let count = 0;
  for (let sum = 0; sum < mass * total; count++) sum += descending[count];
  return largest(part, count);
}

function partOf(operation: string, values: Float32Array, start: number, end?: number): Float32Array {
  checkArray(operation, "values", values, Float32Array, 0);
  const stop = end ?? values.length;
  checkCount(operation, "start", start);
  const inside = Number.isSafeInteger(stop) && stop >= start && stop <= values.length;
  check(inside, operation, "end", `be in ${start}..${values.length}`, stop);
  const part = values.subarray(start, stop);
  const nan = part.findIndex(Number.isNaN);
  check(nan < 0, operation, `values[${start + nan}]`, "be a number", Number.NaN);
  return part;
}

/** All above the k-th largest value, then ties with it from the left. */
function largest(values: Float32Array, k: number): Int32Array {
  if (k === 0) return new Int32Array(0);
  const threshold = values.slice().sort()[values.length - k];
  let ties = k;
  for (const value of values) if (value > threshold) ties--;
  const indices = new Int32Array(k);
  let count = 0;
  for (let index = 0; index < values.length; index++) {
    if (values[index] > threshold) indices[count++] = index;
    else if (values[index] === threshold && ties-- > 0) indices[count++] = index;
  }
  return indices;
}
