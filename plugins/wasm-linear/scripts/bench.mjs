// Times of `linear`, f32, 1024 x 1024, one thread: the table of the README.
import { loadNative, nativeStatus } from "@winnow/kernels-native";
import { createReference } from "@winnow/kernels-reference";
import plugin from "../dist/index.js";

const size = 1024;
const data = Float32Array.from({ length: size * size }, (_, e) => Math.sin(e));
const weight = { format: "dense", dtype: "f32", inFeatures: size, outFeatures: size, data };
const load = () => plugin.create(plugin.options.parse({})).load({ threads: 1, isa: "auto" });

/** Best of `count` runs, in milliseconds. */
function best(count, operations, packed, rows) {
  const x = Float32Array.from({ length: rows * size }, (_, e) => Math.cos(e));
  const out = new Float32Array(rows * size);
  const times = Array.from({ length: count }, () => {
    const start = performance.now();
    operations.linear(x, rows, packed, out);
    return performance.now() - start;
  });
  return Math.min(...times).toFixed(2);
}

const { operations: copied } = await load();
const kept = await load();
const keptWeight = kept.operations.packWeight(weight, "f32");
await kept.prepareWeight(keptWeight);
const reference = createReference();
const native = nativeStatus().available && loadNative({ threads: 1, isa: "auto" });
for (const rows of [1, 64, 512]) {
  const results = {
    reference: best(3, reference, reference.packWeight(weight, "f32"), rows),
    kept: best(30, kept.operations, keptWeight, rows),
    copied: best(30, copied, copied.packWeight(weight, "f32"), rows),
    ...(native && { native: best(30, native, native.packWeight(weight, "f32"), rows) }),
  };
  console.log(`${rows} rows:`, results);
}
