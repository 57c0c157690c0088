import {
  bandMask,
  denseMask,
  type HeadTensor,
  intersectMasks,
  lowerMask,
  type Mask,
  type MaskerContext,
  maskStatistics,
} from "@winnow/core";
import type { PlannedMasker } from "../../plan/plan.js";
import type { HeadGroupStats } from "../../receipt/stats.js";
import { planMasks } from "./recorded-masker.js";
import { pluginOperations, type Session } from "./session.js";

export interface LayerMasks {
  /** One per query head, or one for all. */
  readonly masks: readonly Mask[];
  readonly groups: readonly HeadGroupStats[];
}

/** Asks the plan's maskers of one layer and checks what they return. `dense` ignores them. */
export function planLayerMasks(
  session: Session,
  layer: number,
  q: HeadTensor,
  k: HeadTensor,
  scale: number,
  dense: boolean,
): LayerMasks {
  const { shape, slidingWindow } = session.plan.model;
  const planned = dense
    ? [denseGroup(layer, shape.queryHeads)]
    : session.plan.prefill.filter((group) => group.layer === layer);
  const masks: Mask[] = new Array(shape.queryHeads);
  const groups: HeadGroupStats[] = [];
  for (const group of planned) {
    const context = {
      model: shape,
      layer,
      heads: group.heads,
      q,
      k,
      scale,
      primitives: pluginOperations(session.operations),
    };
    const records = session.plugins.masker(group)?.inner;
    // A plan that failed may have left some.
    records?.take();
    const window = slidingWindow[layer];
    const own = groupMasks(session, group, context).map((mask) =>
      lowerOnce(window === null ? mask : withWindow(mask, window, q.length), q.length),
    );
    const statistics = own.map((mask) => maskStatistics(mask, q.length).density);
    for (let head = group.heads.start; head < group.heads.end; head++)
      masks[head] = own.length === 1 ? own[0] : own[head - group.heads.start];
    const inner = records?.take() ?? [];
    groups.push({ heads: group.heads, masker: group.masker, density: statistics, ...(inner.length > 0 && { inner }) });
  }
  const shared = masks.every((mask) => mask === masks[0]);
  return { masks: shared ? [masks[0]] : masks, groups };
}

function denseGroup(layer: number, queryHeads: number): PlannedMasker {
  return { layer, heads: { start: 0, end: queryHeads }, masker: "dense", options: {} };
}

function groupMasks(session: Session, group: PlannedMasker, context: MaskerContext): readonly Mask[] {
  const planned = session.plugins.masker(group);
  if (!planned) return [denseMask];
  return planMasks(group.masker, planned.masker, context);
}

/** Counting and attention both need the canonical form; kernels take dense and band masks as they are. */
function lowerOnce(mask: Mask, n: number): Mask {
  return mask.form === "dense" || mask.form === "band" ? mask : lowerMask(mask, n);
}

function withWindow(mask: Mask, window: number, n: number): Mask {
  const band = bandMask({ sinkTokens: 0, recentTokens: window });
  return mask.form === "dense" ? band : intersectMasks(mask, band, n);
}
