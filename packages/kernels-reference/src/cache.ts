import { type AttentionOperations, type HeadTensor, toBf16 } from "@winnow/core";
import { check, checkCount, checkHeads, checkLists } from "./check.js";

export const cacheOperations: Pick<AttentionOperations, "storeTokens" | "gatherTokens"> = { storeTokens, gatherTokens };

function storeTokens(source: HeadTensor, target: HeadTensor, start: number): void {
  checkHeads("storeTokens", "source", source, { dtype: "f32" });
  checkHeads("storeTokens", "target", target, { heads: source.heads, headDim: source.headDim });
  checkCount("storeTokens", "start", start);
  const room = target.length - source.length;
  check(start <= room, "storeTokens", "start", `leave room for ${source.length} tokens, so be at most ${room}`, start);
  const toBits = target.dtype === "bf16";
  for (let head = 0; head < source.heads; head++) {
    for (let t = 0; t < source.length; t++) {
      const from = placeOf(source, head, t);
      const to = placeOf(target, head, start + t);
      for (let c = 0; c < source.headDim; c++) {
        const value = source.data[from + c];
        target.data[to + c] = toBits ? toBf16(value) : value;
      }
    }
  }
}

function gatherTokens(x: HeadTensor, kept: Int32Array, keptOffsets: Int32Array, target: HeadTensor): void {
  checkHeads("gatherTokens", "x", x);
  checkHeads("gatherTokens", "target", target, { dtype: x.dtype, heads: x.heads, headDim: x.headDim });
  checkLists("gatherTokens", kept, keptOffsets, x.heads, () => x.length);
  for (let head = 0; head < x.heads; head++) {
    const count = keptOffsets[head + 1] - keptOffsets[head];
    check(
      count <= target.length,
      "gatherTokens",
      "target.length",
      `be at least ${count} (head ${head})`,
      target.length,
    );
  }
  for (let head = 0; head < x.heads; head++) {
    // Ascending indices never fall behind their destination, so in place works from left to right.
    for (let t = 0; t < keptOffsets[head + 1] - keptOffsets[head]; t++) {
      const from = placeOf(x, head, kept[keptOffsets[head] + t]);
      const to = placeOf(target, head, t);
      for (let c = 0; c < x.headDim; c++) target.data[to + c] = x.data[from + c];
    }
  }
}

function placeOf(x: HeadTensor, head: number, token: number): number {
  return x.offset + head * x.headStride + token * x.tokenStride;
}
