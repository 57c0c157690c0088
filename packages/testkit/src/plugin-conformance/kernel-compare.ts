import type { FloatDtype, KernelDescriptor, LayerOperations } from "@winnow/core";
import { attemptAsync, requireThat } from "./check.js";
import { attentionCases } from "./kernel-cases/attention.js";
import { denseCases } from "./kernel-cases/dense.js";
import { linearCases } from "./kernel-cases/linear.js";
import { packedCases } from "./kernel-cases/packed.js";
import { primitiveCases } from "./kernel-cases/primitives.js";
import { reference } from "./masker-run.js";

/** One call with made-up inputs, made anew each time; resolves to everything that it computes. */
export interface KernelCase {
  readonly method: string;
  readonly name: string;
  readonly dtype: FloatDtype;
  /** Of the weights or the mask, as a kernel declares it. */
  readonly format?: string;
  call(operations: LayerOperations): ArrayLike<number> | Promise<ArrayLike<number>>;
}

/** Largest difference, as a share of the largest result. Sums here have at most 200 terms; bf16 kernels may round either factor. */
const tolerances: Record<FloatDtype, number> = { f32: 1e-5, bf16: 0.02 };

/** Holds each method of a declared operation against the reference kernels. */
export async function compareOperation(operations: LayerOperations, descriptor: KernelDescriptor): Promise<void> {
  const cases = casesOf(descriptor);
  const { operation, formats } = descriptor;
  const untried = formats?.filter((format) => !cases.some((one) => one.format === format)) ?? [];
  requireThat(cases.length > 0, `known formats of ${operation}`, () => JSON.stringify(formats) ?? "none");
  requireThat(untried.length === 0, `known formats of ${operation}`, untried.join(", "));
  for (const { method, name, dtype, call } of cases) {
    const what = `${method} of ${name}`;
    const expected = await call(reference);
    const actual = await attemptAsync(`${what} to work`, () => call(operations));
    requireThat(actual.length === expected.length, `${expected.length} results of ${what}`, `${actual.length}`);
    const bound = tolerances[dtype] * Math.max(...Array.from(expected, Math.abs).filter(Number.isFinite), 1e-3);
    const bad = Array.from(actual).findIndex((value, e) => !near(value, expected[e], bound));
    requireThat(bad < 0, `${what} to give ${expected[bad]} at ${bad} (within ${bound})`, () => `${actual[bad]}`);
  }
}

function near(actual: number, expected: number, bound: number): boolean {
  return Object.is(actual, expected) || Math.abs(actual - expected) <= bound;
}

function casesOf({ operation, dtypes, formats }: KernelDescriptor): KernelCase[] {
  switch (operation) {
    case "linear":
      return linearCases(formats ?? [], dtypes);
    case "prefillAttention":
    case "decodeAttention":
      return attentionCases(operation, formats ?? ["dense"], dtypes);
    case "packedAttention":
      return packedCases(dtypes);
    case "elementwise":
    case "cache":
      return denseCases(operation, dtypes);
    default:
      return primitiveCases(operation, dtypes);
  }
}
