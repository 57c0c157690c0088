import { type ChannelsWeight, channelsWeight, type Fixture, type Operations, tokensFirst } from "@winnow/core";
import { activationError, greedySearch, type Shares } from "./greedy.js";
import { type Thresholds, thresholdsOf } from "./quantile.js";

const names = ["q", "k", "v", "o", "gate", "up", "down"] as const;
type Name = (typeof names)[number];

/** Greedy search of one layer, x += Attention(rms(x)); x += MLP(rms(x)), rms without weight, no RoPE, the last half of the tokens sparse. */
export function greedyFixture({ params, tensors }: Fixture, operations: Operations): Record<string, ArrayLike<number>> {
  const { hidden, sequences, tokens, target, step } = params as Record<string, number>;
  const acts = tensors.get("in.acts")!.data as Float32Array;
  const layer = new Layer(params as Record<string, number>, operations, (name) => {
    const { shape, data } = tensors.get(`in.w.${name}`)!;
    return { shape, data: data as Float32Array };
  });
  const inputs = Array.from({ length: sequences }, (_, s) =>
    acts.subarray(s * tokens * hidden, (s + 1) * tokens * hidden),
  );
  const taps = inputs.map(
    (x) =>
      layer.run(
        x,
        tokens,
        names.map(() => 0),
        undefined,
      ).taps,
  );
  const thresholds = [0, 1, 2, 3].map((tap) =>
    thresholdsOf(Float32Array.from(taps.flatMap((all) => Array.from(all[tap]))), "signed"),
  );
  const dense = inputs.map(
    (x) =>
      layer.run(
        x,
        tokens,
        names.map(() => 0),
        thresholds,
      ).out,
  );
  const search = greedySearch({ parameters: layer.sizes, step, targetSparsity: target });
  let next = search.next();
  while (!next.done) {
    const shares = next.value;
    const errors = inputs.map((x, s) =>
      activationError(dense[s], layer.run(x, tokens, shares, thresholds).out, hidden, Math.floor(tokens * 0.75)),
    );
    next = search.next(errors.reduce((a, b) => a + b) / sequences);
  }
  return {
    "out.rows": next.value.flatMap(({ sparsity, error, uniformError, shares }) => [
      sparsity,
      error,
      uniformError,
      ...shares,
    ]),
  };
}

class Layer {
  readonly #weights: Readonly<Record<Name, ChannelsWeight>>;

  constructor(
    private readonly params: Readonly<Record<string, number>>,
    private readonly operations: Operations,
    weightOf: (name: Name) => { readonly shape: readonly number[]; readonly data: Float32Array },
  ) {
    this.#weights = Object.fromEntries(
      names.map((name) => {
        const { shape, data } = weightOf(name);
        const dense = { format: "dense", dtype: "f32", outFeatures: shape[0], inFeatures: shape[1], data } as const;
        return [name, channelsWeight(dense, "f32", { rule: "threshold", thresholds: Float32Array.of(0) })];
      }),
    ) as Record<Name, ChannelsWeight>;
  }

  get sizes(): number[] {
    return names.map((name) => this.#weights[name].data.length);
  }

  /** `taps`: inputs of q, k, v; of o; of gate, up; of down. Without thresholds all is dense. */
  run(x: Float32Array, tokens: number, shares: Shares, thresholds: readonly Thresholds[] | undefined) {
    const { hidden } = this.params;
    const linear = (name: Name, tap: number, input: Float32Array) => {
      const weight = this.#weights[name];
      const threshold = thresholds?.[tap](shares[names.indexOf(name)]) ?? 0;
      const out = new Float32Array(tokens * weight.outFeatures);
      const sparse = { ...weight, selection: { rule: "threshold", thresholds: Float32Array.of(threshold) } } as const;
      this.operations.linear(input, tokens, sparse, out, false, thresholds ? Math.floor(tokens / 2) : 0);
      return out;
    };
    const rms = (input: Float32Array) => {
      const out = new Float32Array(input.length);
      this.operations.rmsNorm(input, tokens, hidden, new Float32Array(hidden).fill(1), 1e-5, out);
      return out;
    };
    const out = x.slice();
    const attentionInput = rms(out);
    const [q, k, v] = (["q", "k", "v"] as const).map((name) => linear(name, 0, attentionInput));
    const attended = this.attention(q, k, v, tokens);
    this.operations.add(out, linear("o", 1, attended), out.length);
    const mlpInput = rms(out);
    const gate = linear("gate", 2, mlpInput);
    this.operations.gatedActivation(gate, linear("up", 2, mlpInput), gate.length, "silu");
    this.operations.add(out, linear("down", 3, gate), out.length);
    return { out, taps: [attentionInput, attended, mlpInput, gate] };
  }

  /** `[tokens, h * d]` each; causal. */
  private attention(q: Float32Array, k: Float32Array, v: Float32Array, tokens: number): Float32Array {
    const { h, hkv, d } = this.params;
    const out = new Float32Array(q.length);
    this.operations.prefillAttention({
      q: tokensFirst(q, h, tokens, d),
      k: tokensFirst(k, hkv, tokens, d),
      v: tokensFirst(v, hkv, tokens, d),
      out: tokensFirst(out, h, tokens, d),
      scale: 1 / Math.sqrt(d),
      masks: [{ form: "dense" }],
    });
    return out;
  }
}
