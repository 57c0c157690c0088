import type { RawConfig } from "./config.js";
import type { Fail } from "./schema-check.js";

/** Which projections of the attention have a bias. */
export interface AttentionBias {
  readonly q: boolean;
  readonly k: boolean;
  readonly v: boolean;
  readonly o: boolean;
}

/** What sets one architecture apart from the one decoder that all share: RMSNorm, RoPE, grouped attention, gated MLP. */
export interface ArchitectureTraits {
  /** The class name in `architectures` of config.json. */
  readonly className: string;
  readonly attentionBias: (raw: RawConfig) => AttentionBias;
  readonly mlpBias: (raw: RawConfig) => boolean;
  /** Keys of config.json that give every matrix of the attention or of the MLP a bias, where the architecture has them. */
  readonly biasKeys: { readonly attention?: "attention_bias"; readonly mlp?: "mlp_bias" };
  /** RMSNorm of each head of q and k before RoPE. */
  readonly qkNorm: boolean;
  /** Where config.json has no head_dim; undefined: hidden_size / num_attention_heads. */
  readonly defaultHeadDim?: number;
  /** Where config.json has no num_key_value_heads; undefined: the key is required. */
  readonly kvHeadsDefaultToQueryHeads: boolean;
  readonly slidingWindow: (raw: RawConfig, fail: Fail) => (number | null)[];
}

/** Keys are the values of `model_type`. A new architecture of this family is one more entry. */
export const architectures = {
  llama: {
    className: "LlamaForCausalLM",
    attentionBias: (raw) => allBiases(raw.attention_bias ?? false),
    mlpBias: (raw) => raw.mlp_bias ?? false,
    biasKeys: { attention: "attention_bias", mlp: "mlp_bias" },
    qkNorm: false,
    kvHeadsDefaultToQueryHeads: true,
    slidingWindow: (raw) => everyLayer(raw, null),
  },
  mistral: {
    className: "MistralForCausalLM",
    attentionBias: () => allBiases(false),
    mlpBias: () => false,
    biasKeys: {},
    qkNorm: false,
    kvHeadsDefaultToQueryHeads: false,
    // The class default of transformers is 4096; only an explicit null means none.
    slidingWindow: (raw) => everyLayer(raw, raw.sliding_window === undefined ? 4096 : raw.sliding_window),
  },
  qwen2: {
    className: "Qwen2ForCausalLM",
    attentionBias: () => ({ q: true, k: true, v: true, o: false }),
    mlpBias: () => false,
    biasKeys: {},
    qkNorm: false,
    kvHeadsDefaultToQueryHeads: false,
    slidingWindow: qwenWindows,
  },
  qwen3: {
    className: "Qwen3ForCausalLM",
    attentionBias: (raw) => allBiases(raw.attention_bias ?? false),
    mlpBias: () => false,
    biasKeys: { attention: "attention_bias" },
    qkNorm: true,
    defaultHeadDim: 128,
    kvHeadsDefaultToQueryHeads: false,
    slidingWindow: qwenWindows,
  },
} as const satisfies Record<string, ArchitectureTraits>;

export type Architecture = keyof typeof architectures;

/** The supported architecture that config.json names; anything else is refused with the list of supported ones. */
export function findArchitecture(raw: RawConfig, fail: Fail): Architecture {
  const supported = Object.keys(architectures) as Architecture[];
  const className = raw.architectures?.[0];
  const type = raw.model_type ?? supported.find((name) => architectures[name].className === className);
  if (type === undefined || !Object.hasOwn(architectures, type)) {
    fail("model_type", `one of the supported architectures ${supported.join(", ")}`, type ?? className);
  }
  const architecture = type as Architecture;
  if (className !== undefined && className !== architectures[architecture].className) {
    fail("architectures", `["${architectures[architecture].className}"] for model_type "${type}"`, raw.architectures);
  }
  return architecture;
}

function allBiases(present: boolean): AttentionBias {
  return { q: present, k: present, v: present, o: present };
}

function everyLayer(raw: RawConfig, window: number | null): (number | null)[] {
  return new Array<number | null>(raw.num_hidden_layers).fill(window);
}

/** `layer_types` says which layers slide; older files count full layers from the front by `max_window_layers`. */
function qwenWindows(raw: RawConfig, fail: Fail): (number | null)[] {
  const window = raw.use_sliding_window ? (raw.sliding_window ?? null) : null;
  const types = raw.layer_types ?? layerTypesByCount(raw, window);
  if (types.length !== raw.num_hidden_layers) {
    fail("layer_types", `a list of num_hidden_layers (${raw.num_hidden_layers}) entries`, raw.layer_types);
  }
  return types.map((type) => {
    if (type === "full_attention") return null;
    if (type !== "sliding_attention") fail("layer_types", '"full_attention" or "sliding_attention" entries', type);
    if (window === null) {
      fail("layer_types", "full_attention only, because use_sliding_window is false or sliding_window is null", type);
    }
    return window;
  });
}

function layerTypesByCount(raw: RawConfig, window: number | null): string[] {
  const fullLayers = raw.max_window_layers ?? 28;
  return Array.from({ length: raw.num_hidden_layers }, (_, layer) =>
    window !== null && layer >= fullLayers ? "sliding_attention" : "full_attention",
  );
}
