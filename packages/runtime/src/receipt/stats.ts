/** Measured by workers; plain data. Times in milliseconds. */
export interface PrefillStats {
  readonly tokens: number;
  readonly totalMs: number;
  /** Norms, projections, MLP, RoPE, cache writes. */
  readonly projectionMs: number;
  /** Choosing masks. */
  readonly estimateMs: number;
  readonly attentionMs: number;
  /** Eviction at the end of the prompt. */
  readonly pruneMs: number;
  readonly layers: readonly PrefillLayerStats[];
  /** Bytes of the KV cache after eviction. */
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
  /** Tokens that stay in the cache, per KV head. */
  readonly tokensKept: readonly number[];
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
  readonly bytesRead: number;
  readonly selectMs: number;
  readonly attentionMs: number;
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
        bytesRead: before.bytesRead + layer.bytesRead,
        selectMs: before.selectMs + layer.selectMs,
        attentionMs: before.attentionMs + layer.attentionMs,
      };
    }),
  };
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
