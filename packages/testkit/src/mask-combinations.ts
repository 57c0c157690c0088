import {
  type InnerPlugins,
  keeps,
  lowerMask,
  type Mask,
  type Masker,
  type MaskerContext,
  type PluginDefinition,
  type PluginReference,
  validateMask,
} from "@winnow/core";

/** Makes the mask of one head over n tokens. */
export type MaskMaker = (n: number) => Mask;

/** What inner maskers return, by name: one mask for all heads, or one per head. */
export type InnerMasks = Record<string, readonly MaskMaker[]>;

/** Name of an inner masker; a list is a nested one of the tested plugin. */
export type MaskName = string | readonly MaskName[];

const model = { layers: 2, queryHeads: 3, kvHeads: 1, headDim: 4, contextLength: 512 };

export const bandOf =
  (sinkTokens: number, recentTokens: number): MaskMaker =>
  (n) => ({ form: "band", sinkTokens, recentTokens, denseFromRow: n });

/** Key blocks drawn with a fixed seed, the diagonal among them. */
function blocksOf(blockSize: number, seed: number): MaskMaker {
  return (n) => {
    const count = Math.ceil(n / blockSize);
    const bits = new Uint8Array(count * count);
    for (let a = 0; a < count; a++)
      for (let b = 0; b <= a; b++) bits[a * count + b] = Number(a === b || ((a * 31 + b * 17 + seed) * 7919) % 5 < 2);
    return { form: "blocks", blockSize, bits };
  };
}

const slashes: MaskMaker = (n) => ({
  form: "vertical-slash",
  columns: Int32Array.of(0, 5).filter((j) => j < n),
  slashes: Int32Array.of(70, 3, 0).filter((offset) => offset < n),
  exact: false,
});

const dense: MaskMaker = () => ({ form: "dense" });

/** Of every form and of block sizes that do and do not divide 64; `perHead` differs from head to head of three. */
export const innerMasks: InnerMasks = {
  blocks64: [blocksOf(64, 1)],
  blocks16: [blocksOf(16, 2)],
  odd: [blocksOf(7, 3)],
  band: [bandOf(2, 9)],
  wide: [bandOf(0, 70)],
  slashes: [slashes],
  dense: [dense],
  perHead: [blocksOf(32, 4), bandOf(1, 1), dense],
};

/** Pairs i * n + j that kernels compute of a mask over n tokens. */
export function pairsOf(mask: Mask, n: number): Set<number> {
  const lowered = lowerMask(mask, n);
  const pairs = new Set<number>();
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) if (keeps(lowered, i, j, n)) pairs.add(i * n + j);
  return pairs;
}

/** {@link pairsOf} of what the inner masker `name` returns for a head. */
export function innerPairs(masks: InnerMasks, name: string, head: number, n: number): Set<number> {
  return pairsOf((masks[name][head] ?? masks[name][0])(n), n);
}

/** Runs a masker whose option `of` lists maskers: valid masks over n tokens and 3 heads, the inner ones being `masks`. */
export function combineMasks(
  // biome-ignore lint/suspicious/noExplicitAny: the schema is each plugin's own
  plugin: PluginDefinition<"masker", any>,
  masks: InnerMasks,
  names: readonly MaskName[],
  n: number,
): readonly Mask[] {
  const reference = (name: MaskName): PluginReference =>
    typeof name === "string"
      ? { plugin: name, options: {} }
      : { plugin: plugin.id, options: { of: name.map(reference) } };
  const plugins = {
    masker({ plugin: name, options }): Masker {
      if (name === plugin.id) return plugin.create(plugin.options.parse(options), model, plugins);
      return { plan: ({ q }) => masks[name].map((mask) => mask(q.length)) };
    },
  } as InnerPlugins;
  const context = { model, layer: 0, heads: { start: 0, end: 3 }, q: { length: n } } as unknown as MaskerContext;
  const planned = plugins.masker({ plugin: plugin.id, options: { of: names.map(reference) } }).plan(context);
  for (const mask of planned) validateMask(mask, n);
  return planned;
}
