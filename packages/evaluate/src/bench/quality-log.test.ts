import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type QualityCell, qualityCells } from "./quality-cells.js";
import { QualityLog, type QualityResult, type QualitySettings } from "./quality-log.js";

const settings: QualitySettings = {
  ...{ model: "models/a, b", texts: [undefined, "other.txt"], length: 2048, windows: 4, needles: 2, needleLength: 512 },
};
const [wanda, teal] = qualityCells(["wanda", "teal-abs"], [{ sparsity: 0.5 }], [0.4]);

function resultOf({ method, setting, selects }: QualityCell): QualityResult {
  return {
    ...{ method, setting, sparse: selects ? "all" : "none", needlesFound: 1, weightBytesRead: 12.5, seconds: 3 },
    perplexity: [
      { perplexity: 10.25, standardError: 0.125 },
      { perplexity: "inf", standardError: null },
    ],
  };
}

describe("QualityLog", () => {
  let file: string;
  beforeEach(() => {
    file = join(mkdtempSync(join(tmpdir(), "winnow-quality-")), "quality.csv");
  });
  const reopened = (changes: Partial<QualitySettings> = {}) => new QualityLog(file, { ...settings, ...changes }, true);

  it("a resumed log holds the results of before, as they were, and no others", () => {
    new QualityLog(file, settings, false).add(resultOf(wanda));
    expect(reopened().find(wanda)).toEqual(resultOf(wanda));
    expect(reopened().find(teal)).toBeUndefined();
  });

  it("a result without needles stays without", () => {
    const result = { ...resultOf(teal), needlesFound: null, weightBytesRead: null };
    new QualityLog(file, { ...settings, needles: 0 }, false).add(result);
    expect(reopened({ needles: 0 }).find(teal)).toEqual(result);
  });

  it("a cell that failed counts as not measured, until it succeeds", () => {
    const log = new QualityLog(file, settings, false);
    log.add({ ...resultOf(wanda), perplexity: [], error: 'no "room",\nat all' });
    expect(reopened().find(wanda)).toBeUndefined();
    log.add(resultOf(wanda));
    expect(reopened().find(wanda)).toEqual(resultOf(wanda));
  });

  it.each([{ model: "models/c" }, { length: 1024 }, { windows: 5 }, { needles: 3 }, { needleLength: 256 }])(
    "results of other settings are not taken (%o)",
    (changes) => {
      new QualityLog(file, settings, false).add(resultOf(wanda));
      expect(reopened(changes).find(wanda)).toBeUndefined();
    },
  );

  it("a file of other texts is refused", () => {
    new QualityLog(file, settings, false);
    expect(() => reopened({ texts: [undefined] })).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
  });
});
