import type { LayerOperations, OperationName } from "@winnow/core";
import { afterAll, beforeAll, describe } from "vitest";
import { cacheSuite } from "./conformance/cache.js";
import { decodeAttentionSuite } from "./conformance/decode-attention.js";
import { elementwiseSuite } from "./conformance/elementwise.js";
import { linearSuite } from "./conformance/linear.js";
import { prefillAttentionSuite } from "./conformance/prefill-attention.js";
import { primitivesSuite } from "./conformance/primitives.js";

/** Operations that are loaded when a test runs, not yet when it is declared. */
export type LoadedOperations = () => LayerOperations;

const suites: Record<OperationName, (operations: LoadedOperations) => void> = {
  linear: linearSuite,
  elementwise: elementwiseSuite,
  cache: cacheSuite,
  prefillAttention: prefillAttentionSuite,
  decodeAttention: decodeAttentionSuite,
  primitives: primitivesSuite,
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
 */
export function describeOperations(
  title: string,
  load: () => OperationsUnderTest | Promise<OperationsUnderTest>,
  names: readonly OperationName[] = Object.keys(suites) as OperationName[],
): void {
  describe(title, () => {
    let loaded: OperationsUnderTest;
    beforeAll(async () => {
      loaded = await load();
    });
    afterAll(async () => {
      await loaded?.close?.();
    });
    for (const name of names) suites[name](() => loaded.operations as LayerOperations);
  });
}
