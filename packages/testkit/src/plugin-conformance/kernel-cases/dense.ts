import { type Activation, type FloatDtype, headsFirst, type LayerOperations, tokensFirst } from "@winnow/core";
import { Seeded, toStored } from "../../seeded.js";
import type { KernelCase } from "../kernel-compare.js";

const activations: readonly Activation[] = ["silu", "gelu", "gelu-tanh", "relu"];

/** Methods that work element by element, and those of the cache. 21 is no multiple of a vector. */
export function denseCases(operation: "elementwise" | "cache", dtypes: readonly FloatDtype[]): KernelCase[] {
  return operation === "cache" ? dtypes.flatMap(cacheCases) : elementCases(dtypes);
}

function elementCases(dtypes: readonly FloatDtype[]): KernelCase[] {
  const width = 21;
  const numbers = (seed: number, count: number) => new Seeded(seed).normals(count);
  const plain = (
    method: string,
    name: string,
    call: (operations: LayerOperations) => ArrayLike<number>,
  ): KernelCase => ({
    method,
    name,
    dtype: "f32",
    call,
  });
  return [
    ...dtypes.map((dtype) =>
      plain("embed", `a table of ${dtype}`, (o) => {
        const out = new Float32Array(3 * width);
        o.embed(Int32Array.of(4, 0, 4), toStored(numbers(1, 5 * width), dtype), width, out);
        return out;
      }),
    ),
    plain("rmsNorm", `width ${width}`, (o) => {
      const out = new Float32Array(3 * width);
      o.rmsNorm(numbers(2, 3 * width), 3, width, numbers(3, width), 1e-5, out);
      return out;
    }),
    plain("rope", "2 heads, 5 tokens", (o) => {
      const x = tokensFirst(numbers(4, 5 * 2 * 8), 2, 5, 8);
      o.rope(x, Int32Array.of(0, 1, 2, 3, 9), numbers(5, 40), numbers(6, 40));
      return x.data;
    }),
    ...activations.map((activation) =>
      plain("gatedActivation", activation, (o) => {
        const gate = numbers(7, width);
        o.gatedActivation(gate, numbers(8, width), width, activation);
        return gate;
      }),
    ),
    plain("add", `${width} numbers`, (o) => {
      const x = numbers(9, width);
      o.add(x, numbers(10, width), width);
      return x;
    }),
  ];
}

function cacheCases(dtype: FloatDtype): KernelCase[] {
  const cache = () => headsFirst(new Seeded(11).stored(2 * 7 * 5, dtype), 2, 7, 5);
  return [
    {
      method: "storeTokens",
      name: `a cache of ${dtype}`,
      dtype: "f32",
      call(operations) {
        const target = cache();
        operations.storeTokens(tokensFirst(new Seeded(12).normals(3 * 2 * 5), 2, 3, 5), target, 4);
        return target.data;
      },
    },
    {
      method: "gatherTokens",
      name: `a cache of ${dtype}, in place`,
      dtype: "f32",
      call(operations) {
        const target = cache();
        operations.gatherTokens(target, Int32Array.of(0, 2, 6, 1, 5), Int32Array.of(0, 3, 5), target);
        return [...target.data.subarray(0, 15), ...target.data.subarray(35, 45)];
      },
    },
  ];
}
