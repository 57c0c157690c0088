import { createReference } from "@winnow/kernels-reference";

const RUNS = 9;

/** Kernels on one thread: the native ones if they are installed and load, else the reference, which is slow but skips the same work. */
export async function kernels() {
  try {
    const { loadNative } = await import("@winnow/kernels-native");
    const operations = loadNative({ threads: 1, isa: "auto" });
    console.log("kernels: native, 1 thread");
    return operations;
  } catch (error) {
    console.log(`kernels: reference (native: ${String(error.message).split("\n")[0]})`);
    return createReference();
  }
}

/** `count` numbers of mean 0 and variance 1, the same ones each time (mulberry32, Box-Muller). */
export function normals(count, seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
}

/** Prints median and range of some runs, in milliseconds; the first run warms up and does not count. Returns the median. */
export async function measure(name, work) {
  await work();
  const times = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const [low, median, high] = [times[0], times[RUNS >> 1], times[RUNS - 1]].map((time) => time.toFixed(3));
  console.log(`${name.padEnd(28)} ${median} ms (${low} to ${high}, ${RUNS} runs)`);
  return times[RUNS >> 1];
}
