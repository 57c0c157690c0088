// Time of one token's product with a matrix of random numbers: whole, and with the zeros of the plugin left out.
import { sparsifierFromScorer, weightBytes } from "@winnow/core";
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [outFeatures, inFeatures] = [1024, Number(process.argv[2] ?? 1024)];
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 64, contextLength: 1024 };
const operations = await kernels();
const weight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data: normals(outFeatures * inFeatures, 1) };
const statistics = { tokens: 1, sequences: 1, norm: normals(inFeatures, 2).map(Math.abs) };
const place = { layer: 0, projection: "up_proj", dtype: "bf16" };
const sparsifier = sparsifierFromScorer(plugin.create(plugin.options.parse({}), model));
const prune = () => sparsifier.sparsify({ ...place, weight, original: weight, statistics, operations });

const dense = operations.packWeight(weight, "bf16");
const pruned = operations.encodeWeight(prune(), { format: "bitmap", dtype: "bf16" });
const x = normals(inFeatures, 3);
const out = new Float32Array(outFeatures);

console.log(`${outFeatures} x ${inFeatures}, bf16`);
await measure("dense, per token", () => operations.linear(x, 1, dense, out));
await measure("pruned, per token", () => operations.linear(x, 1, pruned, out));
await measure("pruning, once", prune);
console.log(`bytes: ${((100 * weightBytes(pruned)) / weightBytes(dense)).toFixed(1)} % of dense`);
