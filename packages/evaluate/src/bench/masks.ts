import { denseMask, type FloatDtype, lowerMask, type Mask, maskStatistics, type PrefillAttention } from "@winnow/core";
import { loadNative, type NativeOperations } from "@winnow/kernels-native";
import { type Conditions, conditions } from "./conditions.js";
import { type MaskCase, maskCases } from "./mask-cases.js";
import { interleave, type Rounds, ratioOf, type Spread } from "./measure.js";
import { type AttentionShape, causalPairs, inCache, randomOperands } from "./operands.js";

export interface MasksBenchOptions extends Rounds {
  readonly shape: AttentionShape;
  readonly length: number;
  readonly dtypes: readonly FloatDtype[];
  readonly threads: number;
}

export interface MaskRow {
  readonly mask: string;
  /** Type of keys and values. */
  readonly dtype: FloatDtype;
  /** Kept pairs / causal pairs, mean over heads. */
  readonly density: number;
  /** Cells that the kernel computed / causal pairs. */
  readonly computed: number;
  readonly milliseconds: Spread;
  /** Time / time of dense attention in the same round. */
  readonly timeRatio: Spread;
  /** Shortest time / shortest time of dense attention: less disturbed by other work on the machine. */
  readonly fastestRatio: number;
  /** Median time ratio - density. */
  readonly excess: number;
}

export interface MasksBench {
  readonly bench: "masks";
  readonly conditions: Conditions;
  readonly shape: AttentionShape;
  readonly length: number;
  /** Largest `excess` that a kernel which skips work should show. */
  readonly target: number;
  readonly rows: readonly MaskRow[];
}

const TARGET = 0.05;

/**
 * How much time the native attention kernel saves with masks of known density, against dense attention in the same rounds.
 * Masks are lowered before, as the runtime does when it chooses them. Blocks this thread while it runs.
 */
export async function benchMasks(options: MasksBenchOptions): Promise<MasksBench> {
  const { shape, length, dtypes } = options;
  const native = loadNative({ threads: options.threads });
  try {
    const cases = [{ name: "dense", masks: [denseMask] }, ...maskCases(length, shape.queryHeads)];
    const operands = randomOperands(shape, length);
    const rows: MaskRow[] = [];
    for (const [index, dtype] of dtypes.entries()) {
      const onProgress = (share: number, label: string) =>
        options.onProgress?.((index + share) / dtypes.length, `${label}, ${dtype}`);
      const task = { ...operands, ...inCache(operands, dtype) };
      rows.push(...(await measure(native, task, dtype, cases, { ...options, onProgress })));
    }
    return { bench: "masks", conditions: conditions(native), shape, length, target: TARGET, rows };
  } finally {
    native.close();
  }
}

async function measure(
  native: NativeOperations,
  task: Omit<PrefillAttention, "masks">,
  dtype: FloatDtype,
  cases: readonly MaskCase[],
  rounds: Rounds,
): Promise<MaskRow[]> {
  const cells = new Map<string, number>();
  const variants = Object.fromEntries(
    cases.map((maskCase) => {
      const masks = maskCase.masks.map((mask) => lowered(mask, task.q.length));
      return [maskCase.name, () => cells.set(maskCase.name, native.prefillAttention({ ...task, masks }).cellsComputed)];
    }),
  );
  const spreads = await interleave(variants, rounds);
  return cases.map(({ name, masks }) => {
    const density = meanDensity(masks, task.q.length);
    const timeRatio = ratioOf(spreads[name], spreads.dense);
    return {
      mask: name,
      dtype,
      density,
      computed: cells.get(name)! / causalPairs(task.q.heads, task.q.length),
      milliseconds: spreads[name],
      timeRatio,
      fastestRatio: spreads[name].min / spreads.dense.min,
      excess: timeRatio.median - density,
    };
  });
}

function lowered(mask: Mask, n: number): Mask {
  return mask.form === "dense" || mask.form === "band" ? mask : lowerMask(mask, n);
}

function meanDensity(masks: readonly Mask[], n: number): number {
  return masks.reduce((sum, mask) => sum + maskStatistics(mask, n).density, 0) / masks.length;
}
