import {
  denseMask,
  type InnerPlugins,
  lastSelections,
  type Mask,
  type Masker,
  type MaskerContext,
  type ModelShape,
} from "@winnow/core";
import type { PerHeadOptions } from "./options.js";

/**
 * Each query head is masked by the last entry that selects it, else by `otherwise`, else densely; the same in every layer.
 * A masker is asked once for each run of neighbouring heads that it serves.
 */
export function perHead({ heads, otherwise }: PerHeadOptions, model: ModelShape, plugins: InnerPlugins): Masker {
  const rest: Masker = otherwise ? plugins.masker(otherwise) : { plan: () => [denseMask] };
  const maskers = heads.map((entry) => plugins.masker(entry));
  const chosen = lastSelections(
    heads.map((entry) => entry.heads),
    model.queryHeads,
  ).map((index) => maskers[index] ?? rest);
  return { plan: (context) => planRuns(context, chosen) };
}

function planRuns(context: MaskerContext, chosen: readonly Masker[]): readonly Mask[] {
  const masks: Mask[] = [];
  for (let start = context.heads.start, end = start; start < context.heads.end; start = end) {
    while (end < context.heads.end && chosen[end] === chosen[start]) end++;
    const planned = chosen[start].plan({ ...context, heads: { start, end } });
    if (planned.length === 1 && end - start === context.heads.end - context.heads.start) return planned;
    for (let head = start; head < end; head++) masks.push(planned[planned.length === 1 ? 0 : head - start]);
  }
  return masks;
}
