// Time of one decoded token's attention over a cache of random numbers: dense rows, and rows of which the plugin stores some elements.
import { headsFirst, prunerFromElementScorer, sliceTokens } from "@winnow/core";
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [h, hKv, n, d] = [4, 2, Number(process.argv[2] ?? 8192), 64];
const model = { layers: 1, queryHeads: h, kvHeads: hKv, headDim: d, contextLength: n };
const operations = await kernels();
const q = headsFirst(normals(h * d, 1), h, 1, d);
const [k, v] = [2, 3].map((seed) => headsFirst(normals(hKv * n * d, seed), hKv, n, d));
const out = headsFirst(new Float32Array(h * d), h, 1, d);
const scale = 1 / Math.sqrt(d);

const pruner = prunerFromElementScorer(plugin.create(plugin.options.parse({}), model));
const choose = () => pruner.compress({ model, layer: 0, k, v, compressed: 0, primitives: operations }, null);
const chosen = choose();
if (!chosen) throw new Error(`${n} tokens are too few: nothing is compressed.`);
const { count } = chosen;

/** The oldest rows with their chosen elements only. */
function packed(x, elements) {
  const { kept } = elements;
  const rows = { dtype: "f32", heads: hKv, length: 0, capacity: count, headDim: d, kept };
  const target = {
    ...rows,
    bitmap: new Uint8Array((hKv * count * d) / 8),
    values: new Float32Array(hKv * count * kept),
  };
  operations.packTokens(sliceTokens(x, 0, count), elements, target, 0);
  return { ...target, length: count };
}

const task = {
  ...{ q, out, scale, packedK: packed(k, chosen.k), packedV: packed(v, chosen.v) },
  ...{ k: sliceTokens(k, count, n), v: sliceTokens(v, count, n) },
};
const bytes = (cost) => `${(cost.bytesRead / 2 ** 20).toFixed(1)} MiB`;
const [dense, compressed] = [operations.decodeAttention({ q, k, v, out, scale }), operations.packedAttention(task)];
console.log(
  `${n} tokens, ${count} compressed, ${h} query heads and ${hKv} KV heads of ${d}; read: ${bytes(dense)} dense, ${bytes(compressed)} compressed`,
);
await measure("dense, per token", () => operations.decodeAttention({ q, k, v, out, scale }));
await measure("compressed, per token", () => operations.packedAttention(task));
await measure("choosing, once per prompt", choose);
