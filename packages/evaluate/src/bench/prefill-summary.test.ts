import { describe, expect, it } from "vitest";
import { type PrefillRun, type PromptRow, summarizePrefill } from "./prefill-summary.js";

function run(found: boolean, attentionMs: number, timeToFirstTokenMs = 2 * attentionMs): PrefillRun {
  return { found, attentionMs, timeToFirstTokenMs, estimateMs: 1, projectionMs: 3, computed: 0.25 };
}

function row(runs: Pick<PromptRow, "configured" | "dense" | "baselineMs">): PromptRow {
  return { depth: 0.5, seed: 1, tokens: 100, ...runs };
}

describe("summarizePrefill", () => {
  it("summarizePrefill counts the needles of each variant, and of those that dense finds, which the plugins keep", () => {
    const summary = summarizePrefill([
      row({ configured: run(true, 10), dense: run(true, 40) }),
      row({ configured: run(false, 10), dense: run(true, 40) }),
      row({ configured: run(true, 10), dense: run(false, 40) }),
      row({ configured: run(true, 10) }),
    ]);
    expect(summary).toMatchObject({ prompts: 4, configuredFound: 3, dense: { prompts: 3, found: 2, foundByBoth: 1 } });
  });

  it("summarizePrefill compares prompt by prompt, and only where both variants ran", () => {
    const summary = summarizePrefill([
      row({ configured: run(true, 10), dense: run(true, 20) }),
      row({ configured: run(true, 1) }),
      row({ configured: run(true, 10), dense: run(true, 60) }),
    ]);
    expect(summary.dense!.overConfigured.attentionMs).toMatchObject({ median: 4, min: 2, max: 6 });
    expect(summary.dense!.estimateShare.samples).toEqual([1 / 20, 1 / 60]);
    expect(summary.configured.attentionMs.min).toBe(1);
  });

  it("summarizePrefill leaves out what no prompt ran", () => {
    const summary = summarizePrefill([row({ configured: run(true, 10) })]);
    expect(summary).not.toHaveProperty("dense");
    expect(summary).not.toHaveProperty("baselineOver");
  });

  it("summarizePrefill gives the baseline's time to first token as a ratio to each variant", () => {
    const summary = summarizePrefill([
      row({ configured: run(true, 10, 20), dense: run(true, 20, 50), baselineMs: 100 }),
      row({ configured: run(true, 10, 25), baselineMs: 100 }),
    ]);
    expect(summary.baselineOver).toMatchObject({ configured: { min: 4, max: 5 }, dense: { samples: [2] } });
  });
});
