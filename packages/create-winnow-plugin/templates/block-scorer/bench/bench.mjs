// Time of attention over a prompt of random numbers: all of it, and what the plugin keeps.
import { denseMask, headsFirst, maskerFromBlockScorer } from "@winnow/core";
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [h, hKv, n, d] = [2, 1, Number(process.argv[2] ?? 2048), 64];
const model = { layers: 1, queryHeads: h, kvHeads: hKv, headDim: d, contextLength: n };
const operations = await kernels();
const q = headsFirst(normals(h * n * d, 1), h, n, d);
const k = headsFirst(normals(hKv * n * d, 2), hKv, n, d);
const v = headsFirst(normals(hKv * n * d, 3), hKv, n, d);
const out = headsFirst(new Float32Array(h * n * d), h, n, d);
const scale = 1 / Math.sqrt(d);

const masker = maskerFromBlockScorer(plugin.create(plugin.options.parse({ keepBlocks: 4 }), model));
const plan = () => masker.plan({ model, layer: 0, heads: { start: 0, end: h }, q, k, scale, primitives: operations });
const attend = (masks) => operations.prefillAttention({ q, k, v, out, scale, masks });

console.log(`${n} tokens, ${h} heads of ${d}`);
await measure("dense", () => attend([denseMask]));
await measure("planning", plan);
await measure("planning and attention", () => attend(plan()));
const share = attend(plan()).cellsComputed / attend([denseMask]).cellsComputed;
console.log(`cells computed: ${(100 * share).toFixed(1)} % of dense`);
