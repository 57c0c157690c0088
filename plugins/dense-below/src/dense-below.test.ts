import type { InnerPlugins, Mask, MaskerContext } from "@winnow/core";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";

const model = { layers: 1, queryHeads: 2, kvHeads: 1, headDim: 4, contextLength: 512 };
const mask: Mask = { form: "band", sinkTokens: 1, recentTokens: 2, denseFromRow: 512 };

function host() {
  const contexts: MaskerContext[] = [];
  const plugins = {
    masker: () => ({
      plan(context: MaskerContext) {
        contexts.push(context);
        return [mask, mask];
      },
    }),
  } as unknown as InnerPlugins;
  const masker = plugin.create(plugin.options.parse({ tokens: 64, inner: { plugin: "band" } }), model, plugins);
  const plan = (n: number) => masker.plan({ q: { length: n } } as unknown as MaskerContext);
  return { contexts, plan };
}

describe("dense-below", () => {
  it.each([1, 63])("dense-below 64 is dense for %i tokens and does not ask the inner masker", (n) => {
    const { contexts, plan } = host();
    expect(plan(n)).toEqual([{ form: "dense" }]);
    expect(contexts).toEqual([]);
  });

  it.each([64, 65])("dense-below 64 hands %i tokens to the inner masker and returns its masks", (n) => {
    const { contexts, plan } = host();
    expect(plan(n)).toEqual([mask, mask]);
    expect(contexts).toEqual([{ q: { length: n } }]);
  });

  it.each([
    { tokens: 0, inner: { plugin: "a" } },
    { tokens: 8 },
    { inner: { plugin: "a" } },
    { tokens: 8, inner: "a" },
  ])("dense-below refuses %j", (options) => {
    expect(plugin.options.safeParse(options).success).toBe(false);
  });
});
