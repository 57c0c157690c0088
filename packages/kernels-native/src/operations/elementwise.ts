import type { Activation, DenseOperations } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkHeads, checkInteger } from "../check.js";

export const activations: readonly Activation[] = ["silu", "gelu", "gelu-tanh", "relu"];

/** Contents of `ids` and `positions` are checked by the binding, before anything is written. */
export function elementwiseOperations(
  kernels: NativeKernels,
): Pick<DenseOperations, "embed" | "rmsNorm" | "rope" | "gatedActivation" | "add"> {
  return {
    embed(ids, table, width, out) {
      checkInteger("embed", "width", width, 1);
      checkArray("embed", "ids", ids, Int32Array);
      checkArray("embed", "table", table, table instanceof Uint16Array ? Uint16Array : Float32Array, width);
      checkArray("embed", "out", out, Float32Array, ids.length * width);
      kernels.embed({ ids, table, width, out });
    },

    rmsNorm(x, rows, width, weight, epsilon, out) {
      checkInteger("rmsNorm", "rows", rows);
      checkInteger("rmsNorm", "width", width, 1);
      const valid = Number.isFinite(epsilon) && epsilon >= 0;
      check(valid, "rmsNorm", "epsilon", "be a finite number >= 0", epsilon);
      checkArray("rmsNorm", "x", x, Float32Array, rows * width);
      checkArray("rmsNorm", "weight", weight, Float32Array, width);
      checkArray("rmsNorm", "out", out, Float32Array, rows * width);
      kernels.rmsNorm({ x, rows, width, weight, epsilon, out });
    },

    rope(x, positions, cos, sin) {
      checkHeads("rope", "x", x, { dtype: "f32" });
      check(x.headDim % 2 === 0, "rope", "x.headDim", "be even", x.headDim);
      checkArray("rope", "positions", positions, Int32Array, x.length);
      checkArray("rope", "cos", cos, Float32Array);
      checkArray("rope", "sin", sin, Float32Array, cos.length);
      kernels.rope({ x, positions, cos, sin });
    },

    gatedActivation(gate, up, count, activation) {
      checkInteger("gatedActivation", "count", count);
      checkArray("gatedActivation", "gate", gate, Float32Array, count);
      checkArray("gatedActivation", "up", up, Float32Array, count);
      const expected = `be one of ${activations.join(", ")}`;
      check(activations.includes(activation), "gatedActivation", "activation", expected, activation);
      kernels.gatedActivation({ gate, up, count, activation });
    },

    add(x, y, count) {
      checkInteger("add", "count", count);
      checkArray("add", "x", x, Float32Array, count);
      checkArray("add", "y", y, Float32Array, count);
      kernels.add({ x, y, count });
    },
  };
}
