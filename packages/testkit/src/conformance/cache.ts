import { type FloatDtype, type HeadTensor, headsFirst, tokensFirst } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describe, expect, it } from "vitest";
import type { LoadedOperations } from "../operations-conformance.js";
import { Seeded } from "../seeded.js";
import { headDims } from "../sizes.js";
import { refuses } from "./refusals.js";

const reference = createReference();
const dtypes: readonly FloatDtype[] = ["f32", "bf16"];

export function cacheSuite(operations: LoadedOperations): void {
  describe("storeTokens", () => {
    it.each(dtypes)(
      "%s: tokens of [n, h * d] data land at their place of [h, capacity, d], the rest stays",
      (dtype) => {
        for (const headDim of headDims) {
          const seeded = new Seeded(headDim);
          const source = tokensFirst(seeded.normals(3 * 2 * headDim), 2, 3, headDim);
          const before = seeded.stored(2 * 7 * headDim, dtype);
          const target = headsFirst(before.slice(), 2, 7, headDim);
          const expected = headsFirst(before.slice(), 2, 7, headDim);
          operations().storeTokens(source, target, 4);
          reference.storeTokens(source, expected, 4);
          expect(target.data).toEqual(expected.data);
        }
      },
    );

    refuses(operations, [
      ["more tokens than fit", (o) => o.storeTokens(view(2), view(2), 1)],
      ["a negative start", (o) => o.storeTokens(view(1), view(2), -1)],
      ["another number of heads", (o) => o.storeTokens(view(1), headsFirst(new Float32Array(4), 2, 2, 1), 0)],
      ["a bf16 source", (o) => o.storeTokens(headsFirst(new Uint16Array(1), 1, 1, 1), view(1), 0)],
    ]);
  });

  describe("gatherTokens", () => {
    // Head 0 keeps none, head 1 all, head 2 a few: lists may be ragged.
    const kept = Int32Array.of(0, 1, 2, 3, 4, 0, 3, 4);
    const offsets = Int32Array.of(0, 0, 5, 8);

    it.each(dtypes)("%s: each head's kept tokens move to the front, in place and into another cache", (dtype) => {
      for (const headDim of headDims) {
        const x = headsFirst(new Seeded(headDim).stored(3 * 5 * headDim, dtype), 3, 5, headDim);
        const fresh = () => ({ ...x, data: x.data.slice().fill(0) });
        const [other, expected] = [fresh(), fresh()];
        operations().gatherTokens(x, kept, offsets, other);
        reference.gatherTokens(x, kept, offsets, expected);
        expect(other.data).toEqual(expected.data);
        operations().gatherTokens(x, kept, offsets, x);
        for (const [head, count] of [0, 5, 3].entries()) {
          const start = head * x.headStride;
          const part = (y: HeadTensor) => y.data.subarray(start, start + count * headDim);
          expect(part(x)).toEqual(part(expected));
        }
      }
    });

    const gather = (indices: number[], ends: number[], target = view(2)) =>
      [view(2), Int32Array.from(indices), Int32Array.from(ends), target] as const;
    refuses(operations, [
      ["a token beyond the cache", (o) => o.gatherTokens(...gather([2], [0, 1]))],
      ["a negative token", (o) => o.gatherTokens(...gather([-1], [0, 1]))],
      ["descending tokens", (o) => o.gatherTokens(...gather([1, 0], [0, 2]))],
      ["offsets beyond the list", (o) => o.gatherTokens(...gather([0], [0, 2]))],
      ["a target that is too small", (o) => o.gatherTokens(...gather([0, 1], [0, 2], view(1)))],
    ]);
  });
}

function view(length: number): HeadTensor {
  return headsFirst(new Float32Array(length), 1, length, 1);
}
