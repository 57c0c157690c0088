// Time of one decoded token's attention over a cache of random numbers: the whole cache, and what the plugin leaves of it.
import { headsFirst, prunerFromEvictScorer, sliceTokens } from "@winnow/core";
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [h, hKv, n, d] = [4, 2, Number(process.argv[2] ?? 8192), 64];
const model = { layers: 1, queryHeads: h, kvHeads: hKv, headDim: d, contextLength: n };
const operations = await kernels();
const q = headsFirst(normals(h * d, 1), h, 1, d);
const [k, v] = [2, 3].map((seed) => headsFirst(normals(hKv * n * d, seed), hKv, n, d));
const out = headsFirst(new Float32Array(h * d), h, 1, d);
const scale = 1 / Math.sqrt(d);
const attend = (k, v) => operations.decodeAttention({ q, k, v, out, scale });

const pruner = prunerFromEvictScorer(plugin.create(plugin.options.parse({}), model));
const choose = () =>
  pruner.afterPrefill({ model, layer: 0, q: sliceTokens(q, 0, 0), k, v, scale, primitives: operations }, null);
const kept = choose();
const keptTokens = kept.offsets[1];
const [shortK, shortV] = [k, v].map((x) => {
  const target = headsFirst(new Float32Array(hKv * keptTokens * d), hKv, keptTokens, d);
  operations.gatherTokens(x, kept.indices, kept.offsets, target);
  return target;
});

console.log(`${n} tokens, ${keptTokens} kept, ${h} query heads and ${hKv} KV heads of ${d}`);
await measure("dense, per token", () => attend(k, v));
await measure("pruned, per token", () => attend(shortK, shortV));
await measure("choosing, once per prompt", choose);
