import { bandMask, type Masker } from "@winnow/core";
import type { HelloMaskerOptions } from "./options.js";

/** Sliding window: pair (i, j) is kept iff 0 <= i - j < w. Same mask for every head and layer, O(1) to plan (paper section 3.1). */
export function helloMasker({ recentTokens }: HelloMaskerOptions): Masker {
  return { plan: () => [bandMask({ sinkTokens: 0, recentTokens })] };
}
