// Time of one token's product with a matrix of random numbers: whole, and with the columns left out that the plugin skips.
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [outFeatures, inFeatures, tokens] = [1024, Number(process.argv[2] ?? 1024), 64];
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 64, contextLength: 1024 };
const operations = await kernels();
const weight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data: normals(outFeatures * inFeatures, 1) };
const statistics = { tokens, sequences: 1, inputs: normals(tokens * inFeatures, 2) };
const place = { layer: 0, projection: "up_proj", dtype: "bf16" };
const sparsifier = plugin.create(plugin.options.parse({}), model);
const sparsify = () => sparsifier.sparsify({ ...place, weight, original: weight, statistics, operations });

const dense = operations.packWeight(weight, "bf16");
const sparse = sparsify();
const x = normals(inFeatures, 3);
const out = new Float32Array(outFeatures);
const multiplyDense = () => operations.linear(x, 1, dense, out);
const multiplySparse = () => operations.linear(x, 1, sparse, out, false, 1);

console.log(`${outFeatures} x ${inFeatures}, bf16`);
await measure("dense, per token", multiplyDense);
await measure("sparse, per token", multiplySparse);
await measure("preparing, once", sparsify);
console.log(`bytes read: ${((100 * multiplySparse()) / multiplyDense()).toFixed(1)} % of dense`);
