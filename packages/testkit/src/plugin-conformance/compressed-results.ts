import type { CompressedTokens, KeptElements } from "@winnow/core";
import { requireThat } from "./check.js";

export interface CompressLimits {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Uncompressed tokens of each KV head. */
  readonly lengths: readonly number[];
  /** Elements that rows compressed before keep. */
  readonly kept?: { readonly k: number; readonly v: number };
}

/** Compressed tokens must fit the cache. */
export function checkCompressed(what: string, result: CompressedTokens, limits: CompressLimits): void {
  const { lengths, kept } = limits;
  const even = lengths.every((length) => length === lengths[0]);
  requireThat(even, `${what} to compress only where all KV heads hold the same number of tokens`, `[${lengths}]`);
  const count: unknown = result?.count;
  const inside = Number.isInteger(count) && (count as number) >= 1 && (count as number) < lengths[0];
  requireThat(inside, `${what} to compress 1..${lengths[0] - 1} tokens, or to return undefined`, `${count}`);
  for (const part of ["k", "v"] as const) {
    checkElements(`${what} to keep`, part, result[part], { ...limits, count: result.count });
    const before = kept?.[part];
    requireThat(
      before === undefined || before === result[part].kept,
      `${what} to keep ${before} elements of each row of ${part}, as before`,
      () => `${result[part].kept}`,
    );
  }
}

function checkElements(
  what: string,
  part: "k" | "v",
  elements: KeptElements,
  { kvHeads, headDim, count }: CompressLimits & { readonly count: number },
): void {
  const { kept, indices } = elements ?? {};
  const whole = Number.isInteger(kept) && kept >= 1 && kept <= headDim;
  requireThat(whole, `${what} 1..${headDim} elements of each row of ${part}`, `${kept}`);
  const sized = indices instanceof Uint16Array && indices.length === kvHeads * count * kept;
  requireThat(sized, `${what} a Uint16Array of ${kvHeads} x ${count} x ${kept} elements of ${part}`, () =>
    indices instanceof Uint16Array ? `${indices.length}` : "another type",
  );
  const previous = (at: number) => (at % kept === 0 ? -1 : indices[at - 1]);
  const bad = indices.findIndex((element, at) => element >= headDim || element <= previous(at));
  requireThat(
    bad < 0,
    `${what} ascending elements of 0..${headDim - 1} of each row of ${part}`,
    () => `${indices[bad]} after ${bad % kept === 0 ? "nothing" : indices[bad - 1]} in row ${Math.floor(bad / kept)}`,
  );
}
