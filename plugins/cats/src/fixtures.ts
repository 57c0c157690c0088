import type {
  DenseWeight,
  Fixture,
  FixtureRunner,
  GatedRowsWeight,
  LinearWeight,
  Operations,
  Projection,
} from "@winnow/core";
import { cats } from "./cats.js";
import { edges } from "./threshold.js";

export const fixtures: FixtureRunner = { kinds: ["cats"], run };

function run({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { hidden, inter, run: tokens } = params as Record<string, number>;
  const data = (name: string) => tensors.get(name)!.data as Float32Array;
  const gate = operations.packWeight(dense(data("in.w.gate"), inter, hidden), "f32");
  const calibration = data("in.x_calib");
  const activatedGate = activatedGates(calibration, gate, operations);
  const shares = params.shares as number[];
  const thresholds = new Float32Array(shares.length);
  const keep = new Uint8Array(shares.length * tokens * inter);
  const y = new Float32Array(shares.length * tokens * hidden);
  shares.forEach((sparsity, s) => {
    const sparsified = (projection: Projection, weight: DenseWeight) =>
      cats({ sparsity, quantile: "histogram" }).sparsify({
        layer: 0,
        projection,
        weight,
        original: weight,
        statistics: { tokens: calibration.length / hidden, sequences: 1, activatedGate },
        dtype: "f32",
        operations,
      });
    const up = sparsified("up_proj", dense(data("in.w.up"), inter, hidden)) as GatedRowsWeight;
    const down = sparsified("down_proj", dense(data("in.w.down"), hidden, inter));
    thresholds[s] = up.selection.rule === "threshold" ? up.selection.thresholds[0] : Number.NaN;
    for (let t = 0; t < tokens; t++) {
      const x = data("in.x").subarray(t * hidden, (t + 1) * hidden);
      const activated = new Float32Array(inter);
      operations.linear(x, 1, gate, activated);
      const h = new Float32Array(inter);
      operations.gatedLinear(x, activated, up, "silu", h);
      const place = s * tokens + t;
      keep.set(
        h.map((value) => (value === 0 ? 0 : 1)),
        place * inter,
      );
      operations.linear(h, 1, down, y.subarray(place * hidden, (place + 1) * hidden), false, 1);
    }
  });
  return { "mid.edges": edges, "out.thresholds": thresholds, "out.keep": keep, "out.y": y };
}

function activatedGates(x: Float32Array, gate: LinearWeight, operations: Operations): Float32Array {
  const rows = x.length / gate.inFeatures;
  const activated = new Float32Array(rows * gate.outFeatures);
  operations.linear(x, rows, gate, activated);
  operations.gatedActivation(activated, new Float32Array(activated.length).fill(1), activated.length, "silu");
  return activated;
}

function dense(data: Float32Array, outFeatures: number, inFeatures: number): DenseWeight {
  return { format: "dense", dtype: "f32", outFeatures, inFeatures, data };
}
