import type { NeedlePrompt } from "@winnow/evaluate";
import type { Receipt } from "@winnow/runtime";
import { describe, expect, it } from "vitest";
import { comparisonTable } from "./comparison-table.js";

interface Measured {
  readonly variant: Receipt["variant"];
  readonly firstMs: number;
  readonly tokenMs?: number | null;
  readonly bytes?: number;
  readonly text?: string;
}

function receipt({ variant, firstMs, tokenMs = 10, bytes = 2 ** 20, text = "" }: Measured): Receipt {
  return {
    variant,
    answer: { text },
    timing: { timeToFirstTokenMs: firstMs, timePerOutputTokenMs: tokenMs },
    prefill: { attentionMs: firstMs / 2, estimateMs: 0, projectionMs: firstMs / 2 },
    density: { prefillComputed: 1, decodeRead: tokenMs === null ? null : 1 },
    weights: { bytes, bytesReadPerToken: tokenMs === null ? null : bytes },
    memory: { peakBytes: 2 ** 30 },
  } as unknown as Receipt;
}

/** Cells by the label of their row, without the label. */
function cellsOf(text: string): Record<string, string[]> {
  const lines = text.split("\n").filter((line) => line.includes("│"));
  const cells = lines.map((line) =>
    line
      .split("│")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return Object.fromEntries(cells.map(([label, ...rest]) => [label, rest]));
}

describe("comparisonTable", () => {
  it("comparisonTable divides the dense run by the configured one where no weights are pruned", () => {
    const runs = [[receipt({ variant: "dense", firstMs: 600 })], [receipt({ variant: "configured", firstMs: 200 })]];
    const cells = cellsOf(comparisonTable(runs));
    expect(cells[""]).toEqual(["dense", "configured", "dense / sparse"]);
    expect(cells["time to first token"]).toEqual(["600 ms", "200 ms", "3.00x"]);
    expect(cells["peak memory"]).toEqual(["1024 MiB", "1024 MiB", ""]);
    expect(cells["weights in memory"]).toBeUndefined();
  });

  it("comparisonTable divides the unpruned run by each other, with weights instead of the shared peak memory", () => {
    const runs = [
      [receipt({ variant: "unpruned", firstMs: 600, tokenMs: 30, bytes: 4 * 2 ** 20 })],
      [receipt({ variant: "dense", firstMs: 500, tokenMs: 20 })],
      [receipt({ variant: "configured", firstMs: 300, tokenMs: 15 })],
    ];
    const cells = cellsOf(comparisonTable(runs));
    expect(cells[""]).toEqual(["unpruned", "dense", "configured", "unpruned / dense", "unpruned / configured"]);
    expect(cells["time to first token"].slice(3)).toEqual(["1.20x", "2.00x"]);
    expect(cells["time per output token"]).toEqual(["30.00 ms", "20.00 ms", "15.00 ms", "1.50x", "2.00x"]);
    expect(cells["weights in memory"]).toEqual(["4 MiB", "1 MiB", "1 MiB", "4.00x", "4.00x"]);
    expect(cells["peak memory"]).toBeUndefined();
  });

  it("comparisonTable shows medians over rounds and counts found needles", () => {
    const needle = { answer: "42" } as NeedlePrompt;
    const dense = [900, 100, 300].map((firstMs) => receipt({ variant: "dense", firstMs, text: "It is 42." }));
    const texts = ["42", "none", "42"];
    const configured = [50, 150, 100].map((firstMs, i) => receipt({ variant: "configured", firstMs, text: texts[i] }));
    const cells = cellsOf(comparisonTable([dense, configured], needle));
    expect(cells["time to first token"]).toEqual(["300 ms", "100 ms", "3.00x"]);
    expect(cells["needle found"]).toEqual(["3 of 3", "2 of 3", ""]);
  });

  it("comparisonTable has no ratio for one run, and a dash where nothing was measured", () => {
    const cells = cellsOf(comparisonTable([[receipt({ variant: "configured", firstMs: 5, tokenMs: null })]]));
    expect(cells[""]).toEqual(["configured"]);
    expect(cells["time per output token"]).toEqual(["-"]);
    const two = [
      [receipt({ variant: "unpruned", firstMs: 5, tokenMs: null })],
      [receipt({ variant: "configured", firstMs: 5, tokenMs: null })],
    ];
    expect(cellsOf(comparisonTable(two))["time per output token"]).toEqual(["-", "-", ""]);
  });
});
