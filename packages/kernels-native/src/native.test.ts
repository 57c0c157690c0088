import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, test } from "vitest";
import { loadNative, type NativeOperations, nativeStatus } from "./index.js";
import { cases } from "./testing/cases.js";

const status = nativeStatus();
const reference = createReference();
const instances: NativeOperations[] = [];
if (status.available) {
  for (const isa of status.instructionSets)
    for (const threads of [1, 2, 3]) instances.push(loadNative({ isa, threads }));
}

afterAll(() => {
  for (const instance of instances) instance.close();
});

test("nativeStatus names the add-on and generic as the last of the instruction sets", () => {
  expect(status).toMatchObject({ available: true });
  expect(status.available && status.instructionSets.at(-1)).toBe("generic");
});

test("loadNative takes the best instruction set by default", () => {
  const operations = loadNative({ threads: 2 });
  expect(operations.isa).toBe(instances[0].isa);
  expect(operations.threads).toBe(2);
  operations.close();
});

describe.each(cases)("$title", ({ run, tolerance }) => {
  test("agrees with float64", () => {
    const expected = run(reference);
    const actual = run(instances[0]);
    expect(actual.length).toBe(expected.length);
    for (let i = 0; i < expected.length; i++) {
      const near = Object.is(actual[i], expected[i]) || Math.abs(actual[i] - expected[i]) <= tolerance;
      if (!near) expect.fail(`at ${i}: ${actual[i]}, expected ${expected[i]} within ${tolerance}`);
    }
  });

  test("gives the same bits on every instruction set with 1, 2 and 3 threads", () => {
    const first = bitsOf(run(instances[0]));
    for (const instance of instances.slice(1)) expect(bitsOf(run(instance)).equals(first)).toBe(true);
  });
});

function bitsOf(values: ArrayLike<number>): Buffer {
  const { buffer, byteOffset, byteLength } = values as Float32Array;
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
