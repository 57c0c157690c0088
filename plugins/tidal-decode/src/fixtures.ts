import { type Fixture, type FixtureRunner, headsFirst, type ModelShape } from "@winnow/core";
import { type LayerInputs, runLayer } from "./step.js";
import { tidalDecode } from "./tidal-decode.js";

interface Params {
  readonly layers: number;
  readonly h: number;
  readonly hkv: number;
  readonly n: number;
  readonly d: number;
  readonly top_k: number;
  readonly start: number;
  /** Second selection layer; a number beyond the last layer: none. */
  readonly reselect: number;
}

/** One decode step through all layers: `out.list<i>`, the positions of the i-th selection layer, and `out.o`, every layer's output. */
export const fixtures: FixtureRunner = {
  kinds: ["tidal-decode"],
  run(fixture, operations) {
    const params = fixture.params as unknown as Params;
    const model = modelOf(params);
    const selectionLayers = [params.start, params.reselect].filter((layer) => layer < params.layers);
    const pruner = tidalDecode({ budget: params.top_k, selectionLayers, sinkTokens: 0, recentTokens: 0 });
    const state = pruner.createState();
    const outputs: Record<string, ArrayLike<number>> = {};
    const attention: Float32Array[] = [];
    for (let layer = 0; layer < params.layers; layer++) {
      const inputs = layerInputs(fixture, params, layer);
      attention.push(runLayer(pruner, state, inputs, { model, layer, step: 0 }, operations).output);
      const list = selectionLayers.indexOf(layer);
      // Without a list (n <= budget) every position is selected.
      if (list >= 0) outputs[`out.list${list}`] = state.lists?.indices.slice() ?? everyPosition(params);
    }
    outputs["out.o"] = attention.flatMap((output) => Array.from(output));
    return outputs;
  },
};

function layerInputs({ tensors }: Fixture, { h, hkv, n, d }: Params, layer: number): LayerInputs {
  const part = (name: string, size: number) =>
    (tensors.get(name)!.data as Float32Array).subarray(layer * size, (layer + 1) * size);
  return {
    q: headsFirst(part("in.q", h * d), h, 1, d),
    k: headsFirst(part("in.k", hkv * n * d), hkv, n, d),
    v: headsFirst(part("in.v", hkv * n * d), hkv, n, d),
  };
}

function everyPosition({ h, n }: Params): Int32Array {
  return Int32Array.from({ length: h * n }, (_, i) => i % n);
}

function modelOf({ layers, h, hkv, d, n }: Params): ModelShape {
  return { layers, queryHeads: h, kvHeads: hkv, headDim: d, contextLength: n };
}
