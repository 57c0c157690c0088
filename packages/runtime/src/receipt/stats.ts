/** Measured by workers; plain data. Times in milliseconds. */
export interface PrefillStats {
  readonly tokens: number;
  readonly totalMs: number;
  /** Norms, projections, MLP, RoPE, cache writes. */
  readonly projectionMs: number;
  /** Choosing masks. */
  readonly estimateMs: number;
  readonly attentionMs: number;
  /** Eviction and compression at the end of the prompt. */
  readonly pruneMs: number;
  readonly layers: readonly PrefillLayerStats[];
  /** Bytes of the KV cache after eviction and compression. */
  readonly cacheBytes: number;
}

export interface PrefillLayerStats {
  readonly layer: number;
  readonly estimateMs: number;
  readonly attentionMs: number;
  /** One per planned head group. */
  readonly groups: readonly HeadGroupStats[];
  /** Query rows whose attention was computed: all, or only the last one where nothing else is used (last layer). */
  readonly queryRows: number;
  /** Cells of causal attention over these rows, all heads. */
  readonly causalCells: number;
  /** Cells that the kernel computed, masked ones of edge tiles included. */
  readonly cellsComputed: number;
  readonly bytesRead: number;
  /** Tokens that stay in the cache, per KV head, compressed ones included. */
  readonly tokensKept: readonly number[];
  /** Of them compressed; the same in each KV head. */
  readonly tokensCompressed: number;
  readonly cacheBytes: number;
  /** KV pruners inside this layer's, in order of the options, at the end of the prompt. */
  readonly innerPruners?: readonly InnerPrunerStats[];
}

export interface HeadGroupStats {
  readonly heads: { readonly start: number; readonly end: number };
  readonly masker: string;
  /** Kept pairs / causal pairs of each head's mask over the whole prompt. */
  readonly density: readonly number[];
  /** Maskers that this one asked, in order of their calls. */
  readonly inner?: readonly InnerMaskStats[];
}

export interface InnerMaskStats {
  readonly masker: string;
  readonly heads: { readonly start: number; readonly end: number };
  readonly density: readonly number[];
  readonly inner: readonly InnerMaskStats[];
}

/** What a KV pruner inside another one decided in one layer, whatever the outer one made of it. Counts are sums over its calls. */
export interface InnerPrunerStats {
  readonly kvPruner: string;
  /** Steps in which it chose what is read or what stays; at the end of the prompt 1. */
  readonly calls: number;
  /** Over query heads. Where KV heads hold different numbers of tokens, a read of everything counts the largest for all. */
  readonly tokensRead: number;
  /** Over KV heads; those that it left alone included. */
  readonly tokensKept: number;
  readonly inner: readonly InnerPrunerStats[];
}

export interface DecodeStats {
  readonly tokens: number;
  readonly totalMs: number;
  readonly projectionMs: number;
  readonly selectMs: number;
  readonly attentionMs: number;
  /** Of all matrices, the head's included; what selections skip is not counted. */
  readonly weightBytesRead: number;
  readonly layers: readonly DecodeLayerStats[];
}

export interface DecodeLayerStats {
  readonly layer: number;
  /** Sum over steps and query heads. */
  readonly tokensRead: number;
  readonly tokensCached: number;
  /** Of K and V, sum over steps and query heads. */
  readonly elementsRead: number;
  readonly bytesRead: number;
  /** Compressed tokens of each KV head after the last step. */
  readonly tokensCompressed: number;
  /** After the last step. */
  readonly cacheBytes: number;
  readonly selectMs: number;
  readonly attentionMs: number;
  /** KV pruners inside this layer's, in order of the options. */
  readonly innerPruners?: readonly InnerPrunerStats[];
}

export function addDecodeStats(a: DecodeStats, b: DecodeStats): DecodeStats {
  return {
    tokens: a.tokens + b.tokens,
    totalMs: a.totalMs + b.totalMs,
    projectionMs: a.projectionMs + b.projectionMs,
    selectMs: a.selectMs + b.selectMs,
    attentionMs: a.attentionMs + b.attentionMs,
    weightBytesRead: a.weightBytesRead + b.weightBytesRead,
    layers: b.layers.map((layer, index) => {
      const before = a.layers[index];
      if (!before) return layer;
      return {
        layer: layer.layer,
        tokensRead: before.tokensRead + layer.tokensRead,
        tokensCached: before.tokensCached + layer.tokensCached,
        elementsRead: before.elementsRead + layer.elementsRead,
        bytesRead: before.bytesRead + layer.bytesRead,
        tokensCompressed: layer.tokensCompressed,
        cacheBytes: layer.cacheBytes,
        selectMs: before.selectMs + layer.selectMs,
        attentionMs: before.attentionMs + layer.attentionMs,
        ...(layer.innerPruners && { innerPruners: addInnerPruners(before.innerPruners, layer.innerPruners) }),
      };
    }),
  };
}

/** Both list the same pruners in the same order. */
function addInnerPruners(
  a: readonly InnerPrunerStats[] = [],
  b: readonly InnerPrunerStats[],
): readonly InnerPrunerStats[] {
  return b.map((pruner, index) => {
    const before = a[index];
    if (!before) return pruner;
    return {
      kvPruner: pruner.kvPruner,
      calls: before.calls + pruner.calls,
      tokensRead: before.tokensRead + pruner.tokensRead,
      tokensKept: before.tokensKept + pruner.tokensKept,
      inner: addInnerPruners(before.inner, pruner.inner),
    };
  });
}

export const noDecodeStats: DecodeStats = {
  tokens: 0,
  totalMs: 0,
  projectionMs: 0,
  selectMs: 0,
  attentionMs: 0,
  weightBytesRead: 0,
  layers: [],
};
