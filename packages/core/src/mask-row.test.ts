import { expect, test } from "vitest";
import { bandMask, keeps, lowerMask, type Mask, rowTokens } from "./index.js";

const n = 150;
const masks: Record<string, Mask> = {
  dense: { form: "dense" },
  band: bandMask({ sinkTokens: 3, recentTokens: 5, denseFromRow: 140 }),
  "vertical-slash": {
    form: "vertical-slash",
    columns: Int32Array.of(0, 7, 70),
    slashes: Int32Array.of(90, 10, 0),
    exact: false,
  },
};

for (const [form, mask] of Object.entries(masks)) {
  test(`rowTokens lists exactly the keys that a ${form} mask keeps in each row`, () => {
    const lowered = lowerMask(mask, n);
    for (let row = 0; row < n; row++) {
      const expected = Array.from({ length: row + 1 }, (_, key) => key).filter((key) => keeps(mask, row, key, n));
      expect(Array.from(rowTokens(lowered, row))).toEqual(expected);
    }
  });
}
