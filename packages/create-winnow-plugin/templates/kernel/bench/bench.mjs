// Time of products with a matrix of random numbers: these kernels, and the dense ones that Winnow brings.
import plugin from "../dist/index.js";
import { kernels, measure, normals } from "./measure.mjs";

const [rows, outFeatures, inFeatures] = [16, 512, Number(process.argv[2] ?? 512)];
const model = { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 64, contextLength: 1024 };
const weight = { format: "dense", dtype: "f32", outFeatures, inFeatures, data: normals(outFeatures * inFeatures, 1) };
const x = normals(rows * inFeatures, 2);
const out = new Float32Array(rows * outFeatures);

const theirs = await kernels();
const instance = await plugin.create(plugin.options.parse({}), model).load({ threads: 1, isa: "auto" });
console.log(`${rows} rows, ${outFeatures} x ${inFeatures}, f32`);
for (const [name, operations] of [
  ["dense kernels of Winnow", theirs],
  ["these kernels", instance.operations],
]) {
  const packed = operations.packWeight(weight, "f32");
  await measure(name, () => operations.linear(x, rows, packed, out));
}
await instance.close();
