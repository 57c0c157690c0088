import type { AttentionOperations } from "@winnow/core";
import type { NativeKernels } from "../addon.js";
import { check, checkArray, checkHeads, checkInteger, checkOverlap } from "../check.js";

export function cacheOperations(kernels: NativeKernels): Pick<AttentionOperations, "storeTokens" | "gatherTokens"> {
  return {
    storeTokens(source, target, start) {
      checkHeads("storeTokens", "source", source, { dtype: "f32" });
      checkHeads("storeTokens", "target", target, { heads: source.heads, headDim: source.headDim });
      checkInteger("storeTokens", "start", start);
      const room = target.length - source.length;
      const expected = `leave room for ${source.length} tokens of ${target.length}`;
      check(start <= room, "storeTokens", "start", expected, start);
      checkOverlap("storeTokens", "target", target, source);
      kernels.storeTokens({ source, target, start });
    },

    gatherTokens(x, kept, keptOffsets, target) {
      const { dtype, heads, headDim } = x;
      checkHeads("gatherTokens", "x", x);
      checkHeads("gatherTokens", "target", target, { dtype, heads, headDim });
      checkArray("gatherTokens", "kept", kept, Int32Array);
      checkArray("gatherTokens", "keptOffsets", keptOffsets, Int32Array, heads + 1);
      checkOverlap("gatherTokens", "target", target, x);
      kernels.gatherTokens({ x, kept, keptOffsets, target });
    },
  };
}
