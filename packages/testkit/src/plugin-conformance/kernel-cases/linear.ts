import {
  channelsWeight,
  type DenseWeight,
  type FloatDtype,
  gatedRowsWeight,
  type LayerOperations,
  type LinearWeight,
  type Selection,
  type WeightTarget,
} from "@winnow/core";
import { Seeded, toStored } from "../../seeded.js";
import type { KernelCase } from "../kernel-compare.js";

const ROWS = 3;
const [OUT, IN] = [19, 21];

/** Every format that is made from a dense weight, as it is declared. */
const targets: readonly WeightTarget[] = [
  { format: "dense-panel16", dtype: "f32" },
  { format: "dense-panel16", dtype: "bf16" },
  { format: "int8-panel16" },
  { format: "bitmap", dtype: "bf16" },
  { format: "bitmap", dtype: "int8" },
  { format: "groups", keep: 2, of: 4 },
];

/** Two in four weights are zero, so that every format can hold them. */
function denseOf(dtype: FloatDtype): DenseWeight {
  const seeded = new Seeded(5);
  const values = seeded.normals(OUT * IN, { exactBf16: true });
  const pruned = values.map((value, e) => ((e % IN) % 4 < 2 ? value : 0));
  const bias = seeded.normals(OUT);
  return { format: "dense", dtype, outFeatures: OUT, inFeatures: IN, data: toStored(pruned, dtype), bias };
}

export function linearCases(formats: readonly string[], dtypes: readonly FloatDtype[]): KernelCase[] {
  const wanted = targets.filter(
    (target) =>
      formats.includes(target.format) && !("dtype" in target && target.dtype === "f32" && !dtypes.includes("f32")),
  );
  const encoded = wanted.flatMap((target) => {
    const name = Object.values(target).join(" ");
    return [
      linearCase(name, (operations) => operations.encodeWeight(denseOf("f32"), target)),
      {
        method: "decodeWeight",
        name,
        dtype: "bf16" as const,
        call: (o: LayerOperations) => o.decodeWeight(o.encodeWeight(denseOf("f32"), target)).data,
      },
    ];
  });
  const cases: KernelCase[] = [...encoded];
  if (formats.includes("dense-panel16") || formats.includes("dense"))
    for (const dtype of dtypes) cases.push(linearCase(`packed ${dtype}`, (o) => o.packWeight(denseOf(dtype), dtype)));
  const selection: Selection = { rule: "largest", keep: 7 };
  for (const dtype of dtypes) {
    if (formats.includes("channels"))
      cases.push(linearCase(`channels ${dtype}`, () => channelsWeight(denseOf("f32"), dtype, selection), 1));
    if (formats.includes("gated-rows")) cases.push(gatedCase(dtype, selection));
  }
  return cases;
}

function linearCase(name: string, make: (operations: LayerOperations) => LinearWeight, sparseRows = 0): KernelCase {
  return {
    method: "linear",
    name: `weights in ${name}`,
    dtype: "bf16",
    async call(operations) {
      const out = new Float32Array(ROWS * OUT).fill(Number.NaN);
      const x = new Seeded(6).normals(ROWS * IN);
      await operations.linear(x, ROWS, make(operations), out, false, sparseRows);
      return out;
    },
  };
}

function gatedCase(dtype: FloatDtype, selection: Selection): KernelCase {
  return {
    method: "gatedLinear",
    name: `gated rows ${dtype}`,
    dtype: "bf16",
    call(operations) {
      const seeded = new Seeded(7);
      const [x, gate, out] = [seeded.normals(IN), seeded.normals(OUT), new Float32Array(OUT)];
      operations.gatedLinear(x, gate, gatedRowsWeight(denseOf("f32"), dtype, selection), "silu", out);
      return out;
    },
  };
}
