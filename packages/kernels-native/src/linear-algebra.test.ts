import { describeOperations, Seeded } from "@winnow/testkit";
import { expect, test } from "vitest";
import { loadNative, type NativeOperations, nativeStatus } from "./index.js";

describeOperations("native", () => ({ operations: loadNative({ threads: 2 }) }), ["linearAlgebra"]);

/** On every instruction set with 1, 2 and 3 threads, the bits of the first. */
function expectSameEverywhere(run: (operations: NativeOperations) => Float32Array[]): void {
  const status = nativeStatus();
  const sets = status.available ? status.instructionSets : [];
  expect(sets).toContain("generic");
  let first: Uint32Array[] | undefined;
  for (const isa of sets) {
    for (const threads of [1, 2, 3]) {
      const operations = loadNative({ isa, threads });
      const bits = run(operations).map((x) => new Uint32Array(x.buffer));
      operations.close();
      first ??= bits;
      expect(bits).toEqual(first);
    }
  }
}

test("every operation of linear algebra gives the same bits on every instruction set with 1, 2 and 3 threads", () => {
  const [rows, width] = [300, 140];
  const x = new Seeded(1).normals(rows * width);
  expectSameEverywhere((o) => {
    const gram = new Float32Array(width * width);
    o.accumulateGram(x, rows, width, gram);
    const factor = new Float32Array(width * width);
    o.inverseCholesky(gram, width, 1, factor);
    const product = gram.slice();
    const task = { m: width, n: width, k: rows, alpha: -1, strideA: rows, strideB: width, strideC: width };
    o.multiplyAdd({ ...task, a: x, b: x, c: product });
    const few = o.truncatedSvd(x, rows, width, 3);
    const all = o.truncatedSvd(x, rows, width, 40);
    return [gram, factor, product, o.columnNorms(x, rows, width), few.u, few.s, few.v, all.u, all.s, all.v];
  });
});
