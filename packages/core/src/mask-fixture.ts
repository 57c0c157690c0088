import { WinnowError } from "./errors.js";
import type { Fixture, FixtureTensor } from "./fixture.js";
import type { Mask } from "./mask.js";
import { keeps, lowerMask } from "./mask-algebra.js";
import type { MaskerContext } from "./masker.js";
import type { Operations } from "./operations.js";
import { type HeadTensor, headsFirst } from "./tensor.js";

/** Recorded tensor `name`; throws `ERR_FIXTURE` if the fixture has none. */
export function fixtureTensor(fixture: Fixture, name: string): FixtureTensor {
  const tensor = fixture.tensors.get(name);
  if (!tensor)
    throw new WinnowError("ERR_FIXTURE", `Fixture ${fixture.method}.${fixture.name} has no tensor "${name}".`);
  return tensor;
}

/** What a masker sees in a recorded prompt: tensors `in.q` `[h, n, d]` and `in.k` `[hKv, n, d]`, all heads, scale 1 / sqrt(d), layer 0 of 1. */
export function maskFixtureContext(fixture: Fixture, primitives: Operations): MaskerContext {
  const q = recordedHeads(fixture, "in.q");
  const k = recordedHeads(fixture, "in.k");
  return {
    model: { layers: 1, queryHeads: q.heads, kvHeads: k.heads, headDim: q.headDim, contextLength: q.length },
    layer: 0,
    heads: { start: 0, end: q.heads },
    q,
    k,
    scale: 1 / Math.sqrt(q.headDim),
    primitives,
  };
}

function recordedHeads(fixture: Fixture, name: string): HeadTensor {
  const { data, shape } = fixtureTensor(fixture, name);
  return headsFirst(data as Float32Array, shape[0], shape[1], shape[2]);
}

/**
 * Outputs that every masker's fixtures share, computed from masks (one per head, or one for all):
 * `out.kept_count` and `out.kept_index_sum` per mask and row; `out.o`, attention over the masks, where the fixture holds values `in.v`;
 * `out.mask` `[n, n]`, the pairs of the first mask, where it holds that.
 */
export function maskFixtureOutputs(
  fixture: Fixture,
  masks: readonly Mask[],
  operations: Operations,
): Record<string, ArrayLike<number>> {
  const n = fixtureTensor(fixture, "in.q").shape[1];
  const rows = masks.map((mask) => keptPerRow(mask, n));
  return {
    "out.kept_count": rows.flatMap(({ counts }) => counts),
    "out.kept_index_sum": rows.flatMap(({ indexSums }) => indexSums),
    ...(fixture.tensors.has("in.v") && { "out.o": attendFixture(fixture, masks, operations) }),
    ...(fixture.tensors.has("out.mask") && { "out.mask": keptPairs(masks[0], n) }),
  };
}

/** Attention of a recorded prompt (`in.q`, `in.k`, `in.v`) over masks; `[h, n, d]`. */
export function attendFixture(fixture: Fixture, masks: readonly Mask[], operations: Operations): Float32Array {
  const { q, k, scale } = maskFixtureContext(fixture, operations);
  const output = new Float32Array(q.heads * q.length * q.headDim);
  const out = headsFirst(output, q.heads, q.length, q.headDim);
  operations.prefillAttention({ q, k, v: recordedHeads(fixture, "in.v"), out, scale, masks });
  return output;
}

function keptPairs(mask: Mask, n: number): Uint8Array {
  return Uint8Array.from({ length: n * n }, (_, cell) => Number(keeps(mask, Math.floor(cell / n), cell % n, n)));
}

/** Keys that each row attends to: how many, and the sum of their indices. O(n^2): for checks. */
function keptPerRow(mask: Mask, n: number): { counts: number[]; indexSums: number[] } {
  const lowered = lowerMask(mask, n);
  const counts: number[] = new Array(n).fill(0);
  const indexSums: number[] = new Array(n).fill(0);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      if (!keeps(lowered, i, j, n)) continue;
      counts[i]++;
      indexSums[i] += j;
    }
  }
  return { counts, indexSums };
}
