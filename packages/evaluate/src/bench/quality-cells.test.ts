import { describe, expect, it } from "vitest";
import { parseQualitySetting, qualityCells, qualityMethods } from "./quality-cells.js";

describe("parseQualitySetting", () => {
  it("parseQualitySetting reads shares and patterns", () => {
    expect(["0.3", "2:4", "4:8"].map(parseQualitySetting)).toEqual([
      { sparsity: 0.3 },
      { keep: 2, of: 4 },
      { keep: 4, of: 8 },
    ]);
  });

  it.each(["", "0", "1", "-0.5", "half", "0:4", "4:4", "2:5", "50%"])("parseQualitySetting refuses %j", (text) => {
    expect(() => parseQualitySetting(text)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
  });
});

describe("qualityCells", () => {
  it("qualityCells measures pruners at every setting and methods that choose at their own, dense once and first", () => {
    const cells = qualityCells(qualityMethods, [{ sparsity: 0.5 }, { keep: 2, of: 4 }], [0.25, 0.4]);
    expect(cells[0]).toEqual({ method: "dense", setting: "", weights: [], selects: false });
    const settingsOf = (method: string) => cells.filter((cell) => cell.method === method).map((cell) => cell.setting);
    expect(settingsOf("sparsegpt")).toEqual(["50 %", "2:4"]);
    expect(settingsOf("r-sparse")).toEqual(["25 %", "40 %"]);
    expect(cells.filter(({ selects }) => selects).map(({ method }) => method)).toEqual(
      ["r-sparse", "teal-signed", "teal-abs", "cats"].flatMap((method) => [method, method]),
    );
  });

  it("dsnot is a second entry that refines the mask of the first, and knows its groups", () => {
    const [half, groups] = qualityCells(["wanda+dsnot"], [{ sparsity: 0.5 }, { keep: 2, of: 4 }], []);
    const pattern = { keep: 2, of: 4 };
    expect(half.weights).toEqual([
      { sparsifier: "wanda", options: { sparsity: 0.5 } },
      { sparsifier: "dsnot", options: { initial: "given" } },
    ]);
    expect(groups.weights).toEqual([
      { sparsifier: "wanda", options: { pattern } },
      { sparsifier: "dsnot", options: { initial: "given", pattern } },
    ]);
  });

  it("an unknown method is refused by name", () => {
    expect(() => qualityCells(["wanda", "wander"], [], [])).toThrow(/"wander"/);
  });
});
