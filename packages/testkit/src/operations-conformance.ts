import type { LayerOperations, LinearFormat, OperationName } from "@winnow/core";
import { afterAll, beforeAll, describe } from "vitest";
import { cacheSuite } from "./conformance/cache.js";
import { decodeAttentionSuite } from "./conformance/decode-attention.js";
import { elementwiseSuite } from "./conformance/elementwise.js";
import { linearSuite } from "./conformance/linear.js";
import { linearAlgebraSuite } from "./conformance/linear-algebra.js";
import { allFormats } from "./conformance/malformed-weights.js";
import { packedAttentionSuite } from "./conformance/packed-attention.js";
import { prefillAttentionSuite } from "./conformance/prefill-attention.js";
import { primitivesSuite } from "./conformance/primitives.js";

/** Operations that are loaded when a test runs, not yet when it is declared. */
export type LoadedOperations = () => LayerOperations;

const suites: Record<OperationName, (operations: LoadedOperations, formats: readonly LinearFormat[]) => void> = {
  linear: linearSuite,
  elementwise: elementwiseSuite,
  cache: cacheSuite,
  prefillAttention: prefillAttentionSuite,
  decodeAttention: decodeAttentionSuite,
  packedAttention: packedAttentionSuite,
  primitives: primitivesSuite,
  linearAlgebra: linearAlgebraSuite,
};

export interface OperationsUnderTest {
  readonly operations: Partial<LayerOperations>;
  close?(): void | Promise<void>;
}

/**
 * Declares vitest suites that hold an implementation against the definitions of `@winnow/core`: the reference implementation at edge sizes,
 * hand-made cases, and arguments that must be refused.
 *
 * `load` is called once, before the first test. `names` lists the operations that it implements; every method of them is tested.
 * `formats` lists the weight formats that its `linear` takes and, where the format is made from a dense weight, its `encodeWeight` writes;
 * compressed and selecting formats that are not listed must be refused.
 */
export function describeOperations(
  title: string,
  load: () => OperationsUnderTest | Promise<OperationsUnderTest>,
  names: readonly OperationName[] = Object.keys(suites) as OperationName[],
  formats: readonly LinearFormat[] = allFormats,
): void {
  describe(title, () => {
    let loaded: OperationsUnderTest;
    beforeAll(async () => {
      loaded = await load();
    });
    afterAll(async () => {
      await loaded?.close?.();
    });
    for (const name of names) suites[name](() => loaded.operations as LayerOperations, formats);
  });
}
