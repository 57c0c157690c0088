import { type InnerPlugins, keeps, lowerMask, type Mask, type MaskerContext, validateMask } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 4, contextLength: 512 };

/** Blocks of 16: the diagonal and every third key block. */
function blocks(n: number): Mask {
  const count = Math.ceil(n / 16);
  const bits = new Uint8Array(count * count);
  for (let a = 0; a < count; a++) for (let b = 0; b <= a; b++) bits[a * count + b] = Number(a === b || b % 3 === 1);
  return { form: "blocks", blockSize: 16, bits };
}

const band = (n: number): Mask => ({ form: "band", sinkTokens: 0, recentTokens: 70, denseFromRow: n });

function plan(inner: readonly ((n: number) => Mask)[], n: number, options: object): readonly Mask[] {
  const plugins = {
    masker: () => ({ plan: ({ q }: MaskerContext) => inner.map((mask) => mask(q.length)) }),
  } as unknown as InnerPlugins;
  const chosen = plugin.options.parse({ inner: { plugin: "inner" }, ...options });
  const masks = plugin.create(chosen, model, plugins).plan({ q: { length: n } } as unknown as MaskerContext);
  for (const mask of masks) validateMask(mask, n);
  return masks;
}

const keysOf = (mask: Mask, i: number, n: number) =>
  Array.from({ length: i + 1 }, (_, j) => j).filter((j) => keeps(mask, i, j, n));

describe("keep-always", () => {
  it.each([1, 2, 16, 63, 64, 65, 150])(
    "keep-always over %i tokens keeps the sinks, the window and what the inner masker keeps, and nothing else",
    (n) => {
      for (const [sinkTokens, recentTokens] of [
        [0, 1],
        [4, 8],
        [3, 100],
        [200, 1],
      ]) {
        const [mask] = plan([blocks], n, { sinkTokens, recentTokens });
        const inner = lowerMask(blocks(n), n);
        for (let i = 0; i < n; i++) {
          const all = Array.from({ length: i + 1 }, (_, j) => j);
          const expected = all.filter((j) => j < sinkTokens || i - j < recentTokens || keeps(inner, i, j, n));
          expect(keysOf(mask, i, n)).toEqual(expected);
        }
      }
    },
  );

  it("keep-always on top of a band keeps both bands and fewer than 64 keys a row more", () => {
    const n = 200;
    const [mask] = plan([band], n, { sinkTokens: 5, recentTokens: 90 });
    for (let i = 0; i < n; i++) {
      const keys = keysOf(mask, i, n);
      const all = Array.from({ length: i + 1 }, (_, j) => j);
      const expected = all.filter((j) => j < 5 || i - j < 90);
      expect(expected.filter((j) => !keys.includes(j))).toEqual([]);
      expect(keys.length - expected.length).toBeLessThan(64);
    }
  });

  it("keep-always returns a mask per head where the inner masker does, and leaves dense ones alone", () => {
    const masks = plan([blocks, () => ({ form: "dense" })], 100, {});
    expect(masks.map(({ form }) => form)).toEqual(["ranges", "dense"]);
  });

  it("keep-always is dense where the window covers the prompt, without asking the inner masker", () => {
    const neverAsked = () => {
      throw new Error("asked");
    };
    expect(plan([neverAsked], 64, { recentTokens: 64 })).toEqual([{ form: "dense" }]);
  });

  it.each([
    {},
    { inner: { plugin: "a" }, recentTokens: 0 },
    { inner: { plugin: "a" }, sinkTokens: -1 },
    { inner: "a" },
  ])("keep-always refuses %j", (options) => {
    expect(plugin.options.safeParse(options).success).toBe(false);
  });
});
