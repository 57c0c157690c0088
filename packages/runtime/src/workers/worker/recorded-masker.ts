import { type Mask, type Masker, type MaskerContext, maskStatistics, validateMask, WinnowError } from "@winnow/core";
import type { InnerMaskStats } from "../../receipt/stats.js";
import { guardPlugin } from "../../registry/guard-plugin.js";

/** What the maskers inside a masker returned since the last look. */
export class MaskRecords {
  #records: InnerMaskStats[] = [];

  add(record: InnerMaskStats): void {
    this.#records.push(record);
  }

  take(): readonly InnerMaskStats[] {
    const taken = this.#records;
    this.#records = [];
    return taken;
  }
}

/** Asks a masker and checks what it returns. Errors name the plugin. */
export function planMasks(plugin: string, masker: Masker, context: MaskerContext): readonly Mask[] {
  const heads = context.heads.end - context.heads.start;
  return guardPlugin(plugin, "plan", () => {
    const masks = masker.plan(context);
    if (!Array.isArray(masks) || (masks.length !== 1 && masks.length !== heads)) {
      throw new WinnowError(
        "ERR_PLUGIN_RESULT",
        `plan must return 1 or ${heads} masks, got ${Array.isArray(masks) ? masks.length : typeof masks}.`,
      );
    }
    for (const mask of masks) validateMask(mask, context.q.length);
    return masks;
  });
}

/** A masker for another masker's use: checked, and each call recorded with what the maskers inside it returned (`below`). */
export function recordedMasker(plugin: string, masker: Masker, records: MaskRecords, below: MaskRecords): Masker {
  return {
    plan(context) {
      const masks = planMasks(plugin, masker, context);
      const density = masks.map((mask) => maskStatistics(mask, context.q.length).density);
      records.add({ masker: plugin, heads: context.heads, density, inner: below.take() });
      return masks;
    },
  };
}
