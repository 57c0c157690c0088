import { type CompressContext, elementAt } from "@winnow/core";
import { elementsKept } from "./large-elements.js";

/** The method again, by sorting each row: ascending elements that stay, `[hKv, count]` rows. */
export function oracle(context: CompressContext, part: "k" | "v", { keepRatio }: { readonly keepRatio: number }) {
  const x = context[part];
  return Array.from({ length: x.heads * x.length }, (_, row) => {
    const elements = Array.from({ length: x.headDim }, (_, c) => {
      return { c, size: Math.abs(elementAt(x, Math.floor(row / x.length), row % x.length, c)) };
    });
    elements.sort((a, b) => b.size - a.size || a.c - b.c);
    return elements
      .slice(0, elementsKept(x.headDim, keepRatio))
      .map(({ c }) => c)
      .sort((a, b) => a - b);
  });
}
