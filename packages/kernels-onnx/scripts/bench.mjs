// Speed of ONNX Runtime alone: node scripts/bench.mjs [--threads 2] [--model ../../models/winnow-16m-32k] [matmul] [attention] [decoder]
// Reports the best of several runs (prefill beyond 8192 tokens: of one), because everything else on a machine only adds time; decode has its median too.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createOnnxAttention, createOnnxBaseline, createOnnxDense } from "../dist/index.js";
import { readLlama } from "./model-files.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    model: { type: "string", default: fileURLToPath(new URL("../../../models/winnow-16m-32k", import.meta.url)) },
  },
});
const threads = Number(values.threads);
const parts = { matmul, attention, decoder };

console.log(`${process.platform}-${process.arch}, Node ${process.version}, ${threads} threads`);
for (const part of positionals.length > 0 ? positionals : Object.keys(parts)) await parts[part]();

/** `rows x in x out`, one projection as the layer loop calls it (copy out of ONNX Runtime included). */
async function matmul() {
  const dense = createOnnxDense({ threads });
  for (const [rows, inFeatures, outFeatures] of [
    [512, 384, 1024],
    [1, 384, 1024],
  ]) {
    const weight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data: random(outFeatures * inFeatures) };
    const handle = dense.prepare("w", weight);
    const x = random(rows * inFeatures);
    const out = new Float32Array(rows * outFeatures);
    const seconds = await best(100, () => dense.linear(handle, x, rows, out));
    const rate = perThread(2 * rows * inFeatures * outFeatures, seconds);
    console.log(`matmul ${rows} x ${inFeatures} x ${outFeatures}: ${(seconds * 1e6).toFixed(0)} us, ${rate}`);
  }
  await dense.close();
}

/** GroupQueryAttention alone; the rate counts causal pairs only: 4 d operations each. */
async function attention() {
  for (const [heads, kvHeads, headDim] of [
    [6, 2, 64],
    [8, 2, 128],
  ]) {
    for (const length of [4096, 8192]) {
      const kernel = createOnnxAttention({ threads });
      const make = (count) => tokensFirst(random(count * length * headDim), count, length, headDim);
      const task = { q: make(heads), k: make(kvHeads), v: make(kvHeads), out: make(heads) };
      const run = () => kernel.prefillAttention({ ...task, scale: headDim ** -0.5, masks: [{ form: "dense" }] });
      const seconds = await best(3, run);
      const rate = perThread(2 * heads * headDim * length * (length + 1), seconds);
      console.log(`attention ${heads}/${kvHeads}/${headDim}, ${length} tokens: ${seconds.toFixed(3)} s, ${rate}`);
      await kernel.close();
    }
  }
}

/** The whole model: prefill, then decode steps on the cache that it left. */
async function decoder() {
  const model = readLlama(values.model);
  for (const int8 of [false, true]) {
    const baseline = await createOnnxBaseline(model, { threads, int8 });
    for (const length of [1024, 4096, 8192, 16384]) {
      const ids = Int32Array.from({ length }, (_, i) => (i * 7919) % model.config.vocabSize);
      let prefill = Number.POSITIVE_INFINITY;
      for (let run = 0; run < (length > 8192 ? 1 : 3); run++) {
        prefill = Math.min(prefill, (await baseline.prefill(ids)).seconds);
      }
      const steps = [];
      for (let step = 0; step < 24; step++) steps.push((await baseline.step(5)).seconds);
      steps.sort((a, b) => a - b);
      console.log(
        `decoder ${int8 ? "int8" : "f32"}, ${length} tokens: prefill ${prefill.toFixed(3)} s (${(length / prefill).toFixed(0)} tokens/s), ` +
          `decode ${(1 / steps[0]).toFixed(1)} tokens/s at best, ${(1 / steps[12]).toFixed(1)} at the median`,
      );
    }
    await baseline.close();
  }
}

async function best(runs, task) {
  await task();
  let seconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await task();
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
  }
  return seconds;
}

function perThread(operations, seconds) {
  return `${(operations / seconds / threads / 1e9).toFixed(0)} GFLOP/s per thread`;
}

function random(count) {
  return Float32Array.from({ length: count }, () => Math.random() * 2 - 1);
}

function tokensFirst(data, heads, length, headDim) {
  return { dtype: "f32", data, offset: 0, heads, length, headDim, headStride: headDim, tokenStride: heads * headDim };
}
