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
  { format: "groups", keep: 4, of: 8 },
  { format: "groups", keep: 8, of: 16 },
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
  const encoded = targets.filter((target) => target.format !== "dense-panel16" || dtypes.includes(target.dtype));
  const cases = [
    ...encoded.flatMap(encodedCases),
    ...dtypes.flatMap((dtype) => [...packedCases(dtype), ...selectingCases(dtype)]),
  ];
  return cases.filter(({ format = "" }) => formats.includes(format));
}

function encodedCases(target: WeightTarget): KernelCase[] {
  const { format } = target;
  const name = Object.values(target).join(" ");
  const dtype = format === "dense-panel16" ? target.dtype : "bf16";
  return [
    linearCase({ name, format, dtype }, (operations) => operations.encodeWeight(denseOf("f32"), target)),
    {
      method: "decodeWeight",
      name,
      dtype,
      format,
      call: (o) => o.decodeWeight(o.encodeWeight(denseOf("f32"), target)).data,
    },
  ];
}

/** Dense weights as they are, and as the package lays them out. */
function packedCases(dtype: FloatDtype): KernelCase[] {
  return [
    linearCase({ name: `dense ${dtype}`, format: "dense", dtype }, () => denseOf(dtype)),
    ...["dense", "dense-panel16"].map((format) =>
      linearCase({ name: `packed ${dtype}`, format, dtype }, (o) => o.packWeight(denseOf(dtype), dtype)),
    ),
  ];
}

/** Every rule of selection; all rows but the last multiply the whole matrix. */
function selectingCases(dtype: FloatDtype): KernelCase[] {
  const selections: Readonly<Record<string, Selection>> = {
    "the largest": { rule: "largest", keep: 7 },
    "those above one threshold": { rule: "threshold", thresholds: Float32Array.of(0.5) },
  };
  return Object.entries(selections).flatMap(([title, selection]) => [
    linearCase(
      { name: `channels ${dtype}, ${title}`, format: "channels", dtype },
      () => channelsWeight(denseOf("f32"), dtype, selection),
      1,
    ),
    gatedCase(`gated rows ${dtype}, ${title}`, dtype, selection),
  ]);
}

/** Into memory that holds NaN, then on top of that result. */
function linearCase(
  { name, ...what }: Pick<KernelCase, "name" | "format" | "dtype">,
  make: (operations: LayerOperations) => LinearWeight,
  sparseRows = 0,
): KernelCase {
  return {
    ...what,
    method: "linear",
    name: `weights in ${name}`,
    async call(operations) {
      const out = new Float32Array(ROWS * OUT).fill(Number.NaN);
      const x = new Seeded(6).normals(ROWS * IN);
      const weight = make(operations);
      await operations.linear(x, ROWS, weight, out, false, sparseRows);
      const once = out.slice();
      await operations.linear(x, ROWS, weight, out, true, sparseRows);
      return [...once, ...out];
    },
  };
}

function gatedCase(name: string, dtype: FloatDtype, selection: Selection): KernelCase {
  return {
    method: "gatedLinear",
    name,
    dtype,
    format: "gated-rows",
    call(operations) {
      const seeded = new Seeded(7);
      const [x, gate, out] = [seeded.normals(IN), seeded.normals(OUT), new Float32Array(OUT)];
      operations.gatedLinear(x, gate, gatedRowsWeight(denseOf("f32"), dtype, selection), "silu", out);
      return out;
    },
  };
}
