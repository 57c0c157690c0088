// Time of one decoded token's attention in some layers over caches of random numbers: whole caches, and what the plugin reads.
import { headsFirst } from "@winnow/core";
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [layers, h, hKv, n, d] = [4, 4, 2, Number(process.argv[2] ?? 8192), 64];
const model = { layers, queryHeads: h, kvHeads: hKv, headDim: d, contextLength: n };
const operations = await kernels();
const q = headsFirst(normals(h * d, 1), h, 1, d);
const [k, v] = [2, 3].map((seed) => headsFirst(normals(hKv * n * d, seed), hKv, n, d));
const out = headsFirst(new Float32Array(h * d), h, 1, d);
const scale = 1 / Math.sqrt(d);
const scores = new Float32Array(h * n);
const pruner = plugin.create(plugin.options.parse({}), model);

function dense() {
  for (let layer = 0; layer < layers; layer++) operations.decodeAttention({ q, k, v, out, scale });
}

function pruned() {
  const state = pruner.createState();
  for (let layer = 0; layer < layers; layer++) {
    const context = { model, layer, step: 0, position: n - 1, q, k, length: n, scale, primitives: operations };
    const plan = pruner.select(context, state);
    const tokens = plan.read === "lists" ? { tokens: plan.lists } : {};
    operations.decodeAttention({ q, k, v, out, scale, ...tokens, ...(plan.scores && { scores }) });
    if (plan.scores) pruner.observe(context, state, scores);
  }
}

console.log(`${n} cached tokens, ${layers} layers, ${h} query heads and ${hKv} KV heads of ${d}`);
await measure("dense, per token", dense);
await measure("pruned, per token", pruned);
