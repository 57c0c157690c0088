import { type DecodeContext, headsFirst, type TokenLists } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { describePlugin, Seeded } from "@winnow/testkit";
import { describe, expect, it } from "vitest";
import plugin from "./index.js";
import { oracle } from "./oracle.js";
import { LAYERS_PER_CHOICE } from "./shared-lists.js";

// One test for each rule of the contract.
describePlugin(plugin, { options: { tokens: 8 }, budget: () => 8 });

const model = { layers: 8, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 4096 };
const primitives = createReference();

function contextOf(length: number, layer: number): DecodeContext {
  const random = new Seeded(length);
  const q = headsFirst(random.normals(4 * 16), 4, 1, 16);
  const k = headsFirst(random.normals(2 * length * 16), 2, length, 16);
  return { model, layer, step: 0, position: length - 1, q, k, length, scale: 0.25, primitives };
}

/** What the layer after a choosing one reads. */
function listsAfter(context: DecodeContext, tokens: number): TokenLists {
  const pruner = plugin.create(plugin.options.parse({ tokens }), model);
  const state = pruner.createState();
  expect(pruner.select!(context, state)).toEqual({ read: "all", scores: true });
  const { q, k, length, scale } = context;
  const out = headsFirst(new Float32Array(4 * 16), 4, 1, 16);
  const scores = new Float32Array(4 * length);
  primitives.decodeAttention({ q, k, v: k, out, scale, scores });
  pruner.observe!(context, state, scores);
  const plan = pruner.select!({ ...context, layer: context.layer + 1 }, state);
  if (plan.read !== "lists") throw new Error(`expected lists, got ${plan.read}`);
  return plan.lists;
}

describe("__ID__", () => {
  it.each([9, 64, 131])("reads the 8 best of %i cached tokens in the layer after a choice, as the oracle does", (n) => {
    const context = contextOf(n, LAYERS_PER_CHOICE);
    const { indices, offsets } = listsAfter(context, 8);
    const lists = Array.from({ length: 4 }, (_, head) => [...indices.subarray(offsets[head], offsets[head + 1])]);
    expect(lists).toEqual(oracle(context, { tokens: 8 }));
  });

  it("reads everything while no more than 8 tokens are cached", () => {
    const pruner = plugin.create(plugin.options.parse({ tokens: 8 }), model);
    expect(pruner.select!(contextOf(8, 0), pruner.createState())).toEqual({ read: "all" });
  });
});
