import { describe, expect, test } from "vitest";
import { addDecodeStats, type DecodeStats, type InnerPrunerStats, noDecodeStats } from "./stats.js";

const pruner = (kvPruner: string, n: number, inner: InnerPrunerStats[] = []): InnerPrunerStats => ({
  kvPruner,
  calls: n,
  tokensRead: 10 * n,
  tokensKept: 100 * n,
  inner,
});

const read = { tokensRead: 1, tokensCached: 2, bytesRead: 3, elementsRead: 6, tokensCompressed: 0, cacheBytes: 7 };

const slice = (innerPruners: InnerPrunerStats[]): DecodeStats => ({
  ...noDecodeStats,
  tokens: 1,
  layers: [{ layer: 0, ...read, selectMs: 4, attentionMs: 5, innerPruners }],
});

describe("addDecodeStats", () => {
  test("addDecodeStats adds the counts of inner pruners by their place, also of two with one name", () => {
    const first = slice([pruner("a", 1, [pruner("deep", 1)]), pruner("a", 0)]);
    const second = slice([pruner("a", 2, [pruner("deep", 4)]), pruner("a", 3)]);
    expect(addDecodeStats(first, second).layers[0].innerPruners).toEqual([
      pruner("a", 3, [pruner("deep", 5)]),
      pruner("a", 3),
    ]);
  });

  test("addDecodeStats starts from nothing, and lists no inner pruners where there are none", () => {
    const stats = slice([pruner("a", 1)]);
    expect(addDecodeStats(noDecodeStats, stats).layers).toEqual(stats.layers);
    const { innerPruners, ...plain } = stats.layers[0];
    const without = { ...stats, layers: [plain] };
    expect(addDecodeStats(without, without).layers[0]).not.toHaveProperty("innerPruners");
  });
});
